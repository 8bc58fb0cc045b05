"""Code that runs inside a box. Standard library only; the folder is mounted read-only and imported by file name."""
