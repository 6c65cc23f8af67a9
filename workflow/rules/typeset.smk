# Tables for manuscripts: LaTeX and Markdown beside the CSV, where they are asked for.

for study in STUDIES.values():

    rule:
        name:
            f"typeset_{study.name}"
        input:
            csv=f"results/{study.name}/{{table}}.csv",
            comparison=lambda wildcards, study=study: comparison_of(
                study, wildcards.table
            ),
        output:
            tex=f"results/{study.name}/{{table}}.tex",
            markdown=f"results/{study.name}/{{table}}.md",
        log:
            f"results/logs/typeset_{study.name}/{{table}}.log",
        wildcard_constraints:
            table="|".join(tables_to_typeset(study)),
        localrule: True
        conda:
            "../../envs/serflow.yaml"
        threads: 1
        resources:
            mem_mb=memory(500),
            runtime=minutes(5),
        params:
            comparison=lambda wildcards, input: (
                f"--comparison {input.comparison}" if input.comparison else ""
            ),
            made_by=lambda wildcards, study=study: option(
                "made-by", code_of_study(study)
            ),
            settings=lambda wildcards, study=study: option(
                "settings", settings_of_study(study)
            ),
            code=code_of("stages.typeset_table"),
        message:
            f"Typeset {{wildcards.table}} of the {study.title} paper"
        shell:
            "python -m serflow.stages.typeset_table --csv {input.csv} {params.comparison} {params.made_by}"
            " {params.settings} --code {params.code} --tex {output.tex} --markdown {output.markdown} --log {log}"
