"""Zero-shot retrieval: sounds find pictures of digits that were never trained on."""
