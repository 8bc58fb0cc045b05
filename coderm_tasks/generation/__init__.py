"""Where unit tests come from: prompts, banks, and models behind an OpenAI-compatible endpoint."""
