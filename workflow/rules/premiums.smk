# What a score owes to a leak of its paper's protocol: the same cells trained without it, and the difference.

for study in STUDIES.values():
    if premium_tables(study):

        rule:
            name:
                f"tabulate_{study.name}_premiums"
            input:
                predictions=predictions_of_versions(study),
                utterances=utterance_tables(premium_corpora(study)),
            output:
                premiums=f"results/{study.name}/premiums.csv",
            log:
                f"results/logs/tabulate_{study.name}_premiums.log",
            conda:
                "../../envs/serflow.yaml"
            threads: 1
            resources:
                mem_mb=memory(2000),
                runtime=minutes(60),
            params:
                layouts=as_is(layouts_of_versions(study)),
                roots=as_is(as_json(premium_roots(study))),
                leaks=[leak.key for leak in study.leaks()],
                code=code_of("stages.tabulate_premiums"),
            message:
                f"Measure what scores of the {study.title} paper owe to leaks of its protocol"
            shell:
                "python -m serflow.stages.tabulate_premiums --layouts {params.layouts:q} --roots {params.roots:q}"
                " --leaks {params.leaks} --predictions {input.predictions} --utterances {input.utterances}"
                " --code {params.code} --premiums {output.premiums} --log {log}"


rule premiums:
    """What scores of the studies that are asked for owe to leaks of their protocols."""
    input:
        [
            f"results/{name}/premiums.csv"
            for name in CONFIG.reported()
            if premium_tables(STUDIES[name])
        ],
