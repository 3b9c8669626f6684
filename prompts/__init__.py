"""Our own words to the model, one file each; installed as `llm_backend.prompts`."""
