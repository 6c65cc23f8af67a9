# Noise: ESC-50 -> clips of three groups; a plan of which clip goes where at what level.


rule make_synthetic_esc50:
    """Synthesise natural, human and interior sounds in ESC-50's layout."""
    output:
        manifest="resources/synthetic/esc50.json",
    log:
        "results/logs/make_synthetic_esc50.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        root=synthetic_root,
        options=as_json({"seed": CONFIG.synthetic.seed}),
        code=code_of("stages.make_synthetic_esc50"),
    message:
        "Synthesise the stand-in for ESC-50"
    shell:
        "python -m serflow.stages.make_synthetic_esc50 --root={params.root:q}"
        " --options {params.options:q} --manifest {output.manifest} --log {log}"


rule prepare_clips:
    """Decode the clips of ESC-50's natural, human and interior groups; trim digital silence."""
    input:
        esc50_manifest,
    output:
        clips="results/noise/clips.parquet",
        rejected="results/noise/clips_rejected.csv",
    log:
        "results/logs/prepare_clips.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        root=esc50_root,
        state=esc50_state,
        files=(
            "" if CONFIG.noise.esc50.root == SYNTHETIC else f"--files {ESC50_RECORD}"
        ),
        synthetic=flag("synthetic", CONFIG.noise.esc50.root == SYNTHETIC),
        partial=flag("allow-partial", CONFIG.noise.esc50.allow_partial),
        code=code_of("stages.prepare_clips"),
    message:
        "Decode the noise clips in {params.root}"
    shell:
        "python -m serflow.stages.prepare_clips --root={params.root:q} {params.files}"
        " {params.synthetic} {params.partial} --clips {output.clips} --rejected {output.rejected} --log {log}"


rule plan_noise:
    """Draw condition, clip and offset of every utterance in a profile, and set the level."""
    input:
        utterances="results/corpora/{corpus}/utterances.parquet",
        audio=audio_shards,
        clips="results/noise/clips.parquet",
        split=plan_split,
    output:
        plan="results/noise/{corpus}/{profile}.parquet",
    log:
        "results/logs/plan_noise/{corpus}/{profile}.log",
    wildcard_constraints:
        profile=NOISES,
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        snrs=lambda wildcards: as_json(
            CONFIG.noise.profiles[profile_of(wildcards.profile)].snrs()
        ),
        offset=lambda wildcards: option(
            "snr-offset-db", CONFIG.snr_offset_db(wildcards.corpus)
        ),
        mixing=lambda wildcards: CONFIG.noise.mixing_of(profile_of(wildcards.profile)),
        seed=CONFIG.noise.seed,
        split=lambda wildcards, input: f"--split {input.split}" if input.split else "",
        code=code_of("stages.plan_noise"),
    message:
        "Plan the noise of {wildcards.corpus} in profile {wildcards.profile}, mixing {params.mixing}"
    shell:
        "python -m serflow.stages.plan_noise --utterances {input.utterances} --audio {input.audio}"
        " --clips {input.clips} --profile {wildcards.profile} --snrs {params.snrs:q}"
        " {params.offset} --mixing {params.mixing} --seed {params.seed} {params.split} --plan {output.plan} --log {log}"


rule tabulate_levels:
    """Say how loud the noise of a corpus is in every profile: asked for, and achieved."""
    input:
        plans=expand(
            "results/noise/{{corpus}}/{profile}.parquet", profile=CONFIG.noise.profiles
        ),
    output:
        table="results/noise/{corpus}/levels.csv",
    log:
        "results/logs/tabulate_levels/{corpus}.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        code=code_of("stages.tabulate_levels"),
    message:
        "Say how loud the noise of {wildcards.corpus} is"
    shell:
        "python -m serflow.stages.tabulate_levels --plans {input.plans} --code {params.code} --table {output.table}"
        " --log {log}"


rule render_noisy:
    """Write the noisy utterances of a profile as FLAC, to listen to. No table needs them."""
    input:
        audio=audio_shards,
        plan="results/noise/{corpus}/{profile}.parquet",
        clips="results/noise/clips.parquet",
    output:
        folder=directory("results/noise/{corpus}/{profile}/audio"),
    log:
        "results/logs/render_noisy/{corpus}/{profile}.log",
    wildcard_constraints:
        profile=NOISES,
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        code=code_of("stages.render_noisy"),
    message:
        "Write noisy audio of {wildcards.corpus} in profile {wildcards.profile}"
    shell:
        "python -m serflow.stages.render_noisy --audio {input.audio} --plan {input.plan}"
        " --clips {input.clips} --folder {output.folder} --log {log}"
