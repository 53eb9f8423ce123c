"""What is said of each operation, by its method and its path as the table of paths names it."""

from tools.openapi.operation import Operation
from tools.openapi.operations import chat, figures, operators, others

OPERATIONS: dict[str, Operation] = {
    **others.OPERATIONS,
    **chat.OPERATIONS,
    **figures.OPERATIONS,
    **operators.OPERATIONS,
}
