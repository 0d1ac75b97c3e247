"""Text models in the Hugging Face layout, from disk or from the hub, without remote code."""
