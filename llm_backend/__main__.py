"""`python -m llm_backend` is `llm-backend`."""

from llm_backend.cli import main

if __name__ == "__main__":
    main(prog_name="llm-backend")
