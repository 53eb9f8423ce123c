"""The description of the interface as an OpenAPI 3.1 document.

What the code says is read from it: paths and methods from `api/routes.py`, bodies and answers from
the Structs that read and write them, errors from `core/errors.py`, statuses and forms of errors
from the dialects. What only words can say of an operation stands in `operations/`, once.
"""
