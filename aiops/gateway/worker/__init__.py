"""What serves one generation: the front, its lanes, and behind them LiteLLM's app, where there is one."""
