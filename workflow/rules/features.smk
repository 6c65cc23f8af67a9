# Features: prepared audio (and a noise plan) -> a store of frames, packed for training.


rule extract_features:
    """Extract one feature of one shard in one condition."""
    input:
        unpack(noise_inputs),
        audio="results/audio/{corpus}/{shard}.parquet",
    output:
        frames="results/features/{feature}/{corpus}/{condition}/{shard}.parquet",
    log:
        "results/logs/extract_features/{feature}/{corpus}/{condition}/{shard}.log",
    benchmark:
        "results/benchmarks/extract_features/{feature}/{corpus}/{condition}/{shard}.tsv"
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        parameters=lambda wildcards: as_json(CONFIG.features[wildcards.feature]),
        noise=noise_options,
        code=lambda wildcards: code(
            "stages.extract_features", f"features.{wildcards.feature}"
        ),
    message:
        "Extract {wildcards.feature} of {wildcards.corpus}, {wildcards.condition}, shard {wildcards.shard}"
    shell:
        "python -m serflow.stages.extract_features --feature {wildcards.feature}"
        " --parameters {params.parameters:q} --corpus {wildcards.corpus} --condition {wildcards.condition}"
        " --audio {input.audio} {params.noise} --code {params.code} --frames {output.frames} --log {log}"


rule pack_features:
    """Pack the shards of a store into one memory-mapped array for training."""
    input:
        shards=feature_shards,
    output:
        array="results/features/{feature}/{corpus}/{condition}/packed.npy",
        index="results/features/{feature}/{corpus}/{condition}/packed.parquet",
    log:
        "results/logs/pack_features/{feature}/{corpus}/{condition}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        code=code("stages.pack_features"),
    message:
        "Pack {wildcards.feature} of {wildcards.corpus}, {wildcards.condition}"
    shell:
        "python -m serflow.stages.pack_features --shards {input.shards} --array {output.array}"
        " --index {output.index} --log {log}"
