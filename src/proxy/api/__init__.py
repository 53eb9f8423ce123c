"""HTTP: the pipeline, the table of paths, and what each path does."""
