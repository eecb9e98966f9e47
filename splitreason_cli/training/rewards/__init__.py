"""What a rollout of GRPO is worth."""
