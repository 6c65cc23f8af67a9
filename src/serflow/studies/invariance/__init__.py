"""Tu, Tang, Huang, He, Zhou: Towards adversarial learning of speaker-invariant representation for SER (2019)."""
