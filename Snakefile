# serflow: emotional-speech corpora, ESC-50 and pretrained networks into the tables of five papers.
#
#   snakemake --cores 16 results/table1.csv
#
# What is made, from what, and where: README.md. What may be changed: config.yaml.
from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


# after the files have been read as they are written: what Snakemake makes of them is not looked at
configfile: CONFIG_YAML


rule all:
    """Table I of the DLC paper: results/table1.csv."""
    default_target: True
    input:
        "results/table1.csv",


include: "workflow/rules/corpora.smk"
include: "workflow/rules/audio.smk"
include: "workflow/rules/noise.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/transcripts.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/dlc.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/invariance.smk"
include: "workflow/rules/temporal.smk"
include: "workflow/rules/multigating.smk"
include: "workflow/rules/speakernorm.smk"
include: "workflow/rules/premiums.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/qc.smk"
include: "workflow/rules/typeset.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/report.smk"
