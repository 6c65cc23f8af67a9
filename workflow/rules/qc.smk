# Whether the tables of a study are fit to be read.

for study in STUDIES.values():

    rule:
        name:
            f"check_{study.name}_quality"
        input:
            cells=files_of_cells(study, "metrics.json", pictured_cells(study)),
            predictions=files_of_cells(
                study, "predictions.parquet", pictured_cells(study)
            ),
            utterances=utterance_tables(study.corpora()),
        output:
            csv=f"results/qc/{study.name}.csv",
            page=report(
                f"results/qc/{study.name}.md",
                caption="../report/qc.rst",
                category=study.title,
                labels={"what": "Checks", "beside the paper": "no"},
            ),
        log:
            f"results/logs/check_{study.name}_quality.log",
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            study=study.name,
            title=option("title", study.title),
            layouts=as_is(layouts(study, scored(study))),
            unit=option("unit", study.unit()),
            published=published(study),
            code=code_of("stages.check_quality"),
        message:
            f"Check the tables of the {study.title} paper"
        shell:
            "python -m serflow.stages.check_quality --study {params.study} {params.title:q} --layouts {params.layouts:q}"
            " --cells {input.cells} --utterances {input.utterances} {params.unit} --code {params.code}"
            " --csv {output.csv} --page {output.page} --log {log}"


rule qc:
    """Whether tables are fit to be read: results/qc/{study}.md of each study that is reported."""
    input:
        expand("results/qc/{study}.csv", study=CONFIG.reported()),
