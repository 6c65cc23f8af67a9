"""What the rules run: one module a rule, ``python -m serflow.stages.<rule>``."""
