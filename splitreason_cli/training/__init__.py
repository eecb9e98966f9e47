"""The verbs train sft and train grpo."""
