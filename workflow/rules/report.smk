# Pages of results for a browser: one a study, and an overview of all.

for study in STUDIES.values():

    rule:
        name:
            f"report_{study.name}"
        input:
            **recordings(study),
            tables=shown(study, ".csv"),
            beside=beside(study),
            figures=shown(study, ".svg"),
            card=f"results/{study.name}/protocol.md",
            claims=claims_on_page(study),
            fits=f"results/{study.name}/protocol.csv",
            audit=f"results/audit/{study.name}.md",
            predictions=files_of_cells(
                study, "predictions.parquet", pictured_cells(study)
            ),
            histories=files_of_cells(study, "history.parquet", pictured_cells(study)),
            utterances=utterance_tables(study.corpora()),
        output:
            page=report(
                f"results/report/{study.name}.html",
                caption="../report/page.rst",
                category="All results",
                labels={"what": study.title, "beside the paper": "yes"},
            ),
            alone=[
                report(
                    path,
                    caption=f"../report/{caption_file(study, name).name}",
                    category=study.title,
                    labels={"what": name, "beside the paper": "yes"},
                )
                for name, path in tables_alone(study).items()
            ],
            overview=f"results/report/{study.name}.json",
            recordings=directory(f"results/report/{study.name}_audio"),
        log:
            f"results/logs/report_{study.name}.log",
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            study=study.name,
            title=option("title", study.title),
            about=as_is(option("about", study.about)),
            layouts=as_is(layouts(study, scored(study))),
            captions=as_is(json.dumps(captions(study))),
            titles=as_is(json.dumps(titles(study))),
            value=option("value", study.curves.value),
            quantity=option("quantity", study.curves.quantity),
            limits=option("listed", CONFIG.report.listed),
            heard=option("heard", CONFIG.report.heard if CONFIG.report.audio else 0),
            transcripts=flag("transcripts", CONFIG.report.transcripts),
            conditions=[
                "--conditions",
                *(heard(study, cell) for cell in pictured_cells(study)),
            ],
            recordings=recordings_options,
            claims=lambda wildcards, input: (
                f"--claims {input.claims}" if input.claims else ""
            ),
            templates=templates(),
            code=code_of("stages.report_study"),
        message:
            f"Make the page of results of the {study.title} paper"
        shell:
            "python -m serflow.stages.report_study --study {params.study} {params.title:q} {params.about:q}"
            " --layouts {params.layouts:q} --captions {params.captions:q} --titles {params.titles:q}"
            " {params.value} {params.quantity:q} --tables {input.tables} --beside {input.beside}"
            " --figures {input.figures} --card {input.card} {params.claims} --fits {input.fits} --audit {input.audit} --predictions {input.predictions}"
            " {params.conditions} --utterances {input.utterances} {params.recordings} {params.limits} {params.heard}"
            " {params.transcripts} --code {params.code} --page {output.page} --tables-alone {output.alone} --overview {output.overview}"
            " --folder {output.recordings} --log {log}"


rule report_index:
    """An overview of the studies that are asked for, with links to their pages."""
    input:
        overviews=expand("results/report/{study}.json", study=CONFIG.reported()),
        pages=expand("results/report/{study}.html", study=CONFIG.reported()),
    output:
        page=report(
            "results/report/index.html",
            caption="../report/page.rst",
            category="All results",
            labels={"what": "All studies", "beside the paper": "yes"},
        ),
    log:
        "results/logs/report_index.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
    params:
        templates=templates(),
        code=code_of("stages.report_index"),
    message:
        "Make the overview of results"
    shell:
        "python -m serflow.stages.report_index --overviews {input.overviews} --code {params.code} --page {output.page}"
        " --log {log}"
