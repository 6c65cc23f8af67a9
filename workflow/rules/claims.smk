# What the papers say of their tables, over ours: a verdict a claim.

for study in with_claims():

    rule:
        name:
            f"judge_{study.name}_claims"
        input:
            cells=cells_of_claims(study, "metrics.json"),
            predictions=cells_of_claims(study, "predictions.parquet"),
            utterances=utterance_tables(study.corpora()),
        output:
            csv=f"results/{study.name}/claims.csv",
            page=report(
                f"results/{study.name}/claims.md",
                caption="../report/claims.rst",
                category=study.title,
                labels={"what": "Claims", "beside the paper": "yes"},
            ),
        log:
            f"results/logs/judge_{study.name}_claims.log",
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            study=study.name,
            title=option("title", study.title),
            layouts=as_is(layouts(study, tables_of_claims(study))),
            unit=option("unit", study.unit()),
            claims=option("claims", sha256_file(claims_path(study.name))[:16]),
            published=published(study),
            code=code_of("stages.judge_claims"),
        message:
            f"Judge the claims of the {study.title} paper"
        shell:
            "python -m serflow.stages.judge_claims --study {params.study} {params.title:q} --layouts {params.layouts:q}"
            " --cells {input.cells} --utterances {input.utterances} {params.unit} --code {params.code}"
            " --csv {output.csv} --page {output.page} --log {log}"


rule claims:
    """What the papers say of their tables, over ours: results/{study}/claims.md of each study that is reported."""
    input:
        [
            f"results/{study.name}/claims.csv"
            for study in with_claims()
            if study.name in CONFIG.reported()
        ],
