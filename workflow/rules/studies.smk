# What is made of the runs of every study: its tables beside the paper's, intervals, training curves, protocol card.

for study in STUDIES.values():
    for tables in study.tables:

        rule:
            name:
                f"tabulate_{study.name}_{tables[0]}"
            input:
                cells=[
                    cell
                    for table in tables
                    for cell in cell_files(study, "metrics.json", table)
                ],
                beside=tables_of_words(study, tables),
            output:
                csv=[f"results/{study.name}/{table}.csv" for table in tables],
                comparison=[
                    f"results/{study.name}/{table}_vs_paper.csv" for table in tables
                ],
                fits=[f"results/{study.name}/{table}_fits.csv" for table in tables],
            log:
                f"results/logs/tabulate_{study.name}/{tables[0]}.log",
            localrule: True
            conda:
                "../../envs/serflow.yaml"
            threads: 1
            resources:
                mem_mb=memory(1000),
                runtime=minutes(15),
            params:
                study=study.name,
                layouts=as_is(layouts(study, tables)),
                beside=lambda wildcards, input: beside_options(input.beside),
                published=published(study),
                code=code_of("stages.tabulate"),
            message:
                f"Make {' and '.join(tables)} of the {study.title} paper, beside the paper's own"
            shell:
                "python -m serflow.stages.tabulate --study {params.study} --layouts {params.layouts:q}"
                " --cells {input.cells} {params.beside} --code {params.code} --csv {output.csv}"
                " --comparison {output.comparison} --fits {output.fits} --log {log}"

    rule:
        name:
            f"tabulate_{study.name}_intervals"
        input:
            predictions=lambda wildcards, study=study: cell_files(
                study, "predictions.parquet", wildcards.table
            ),
            utterances=utterance_tables(study.corpora()),
        output:
            intervals=f"results/{study.name}/{{table}}_intervals.csv",
        log:
            f"results/logs/tabulate_{study.name}_intervals/{{table}}.log",
        wildcard_constraints:
            table="|".join(table for tables in study.tables for table in tables),
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            layout=lambda wildcards, study=study: as_json(
                study.layout(wildcards.table).to_json()
            ),
            unit=study.unit(),
            code=code_of("stages.tabulate_intervals"),
        message:
            f"Compute confidence intervals of {{wildcards.table}} of the {study.title} paper, clustered by {{params.unit}}"
        shell:
            "python -m serflow.stages.tabulate_intervals --layout {params.layout:q}"
            " --predictions {input.predictions} --utterances {input.utterances} --unit {params.unit}"
            " --code {params.code} --intervals {output.intervals} --log {log}"

    rule:
        name:
            f"plot_{study.name}_curves"
        input:
            histories=cell_files(study, "history.parquet", study.curves.table),
        output:
            figure=report(
                f"results/{study.name}/curves.svg",
                caption="../report/curves.rst",
                category=study.title,
                labels={"what": "Training curves", "beside the paper": "no"},
            ),
        log:
            f"results/logs/plot_{study.name}_curves.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            layout=as_is(as_json(study.layout(study.curves.table).to_json())),
            curves=list(study.curves),
            titles=as_is(json.dumps(titles(study))),
            code=code_of("stages.plot_curves"),
        message:
            f"Draw the training curves of the {study.title} paper"
        shell:
            "python -m serflow.stages.plot_curves --layout {params.layout:q} --histories {input.histories}"
            " --value {params.curves[1]} --quantity {params.curves[2]:q} --titles {params.titles:q}"
            " --code {params.code} --figure {output.figure} --log {log}"

    rule:
        name:
            f"describe_{study.name}_protocol"
        input:
            **study.card_inputs(),
        output:
            table=f"results/{study.name}/protocol.csv",
            card=report(
                f"results/{study.name}/protocol.md",
                caption="../report/protocol.rst",
                category=study.title,
                labels={"what": "Protocol", "beside the paper": "no"},
            ),
        log:
            f"results/logs/describe_{study.name}_protocol.log",
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(15),
        params:
            study=study.name,
            inputs=named_inputs,
            titles=as_is(json.dumps(titles(study))),
            runs=as_json({corpus: study.runs(corpus) for corpus in study.corpora()}),
            options=as_is(as_json(study.card_options())),
            settings=as_is(json.dumps(study.protocol())),
            code=code_of("stages.describe_protocol", f"studies.{study.name}.card"),
        message:
            f"Write the protocol card of the {study.title} paper"
        shell:
            "python -m serflow.stages.describe_protocol --study {params.study} --inputs {params.inputs}"
            " --titles {params.titles:q} --runs {params.runs:q} --options {params.options:q}"
            " --settings {params.settings:q} --code {params.code} --table {output.table} --card {output.card}"
            " --log {log}"
