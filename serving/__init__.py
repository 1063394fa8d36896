"""How vLLM is started, spoken to, and given adapters."""
