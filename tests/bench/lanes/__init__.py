"""What a request costs in a gateway: aiops' two lanes, stock LiteLLM and peers, side by side on one processor core."""
