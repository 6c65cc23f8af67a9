"""What a user may change, part by part: the sections of ``config.yaml`` that all studies share.

Nothing here knows a study, and nothing imports torch. `serflow.config` puts the studies' sections beside these.
"""
