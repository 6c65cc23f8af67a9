# Features: prepared audio (and a noise plan, and a network's weights) -> stores, packed for training.


rule prepare_weights:
    """Get the weights of a pretrained network: from a path, a pinned download, or as a stand-in."""
    input:
        weights_given,
    output:
        record="resources/weights/{backbone}.json",
    log:
        "results/logs/prepare_weights/{backbone}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        weights=weights_source,
        state=weights_state,
        files=lambda wildcards: f"--files {weights_record(wildcards.backbone)}",
        release=weights_release,
        code=lambda wildcards: code(
            "stages.prepare_weights", f"backbones.{wildcards.backbone}"
        ),
    message:
        "Get the weights of {wildcards.backbone}: {params.weights}"
    shell:
        "python -m serflow.stages.prepare_weights --backbone {wildcards.backbone} --weights={params.weights:q}"
        " {params.release} --folder resources/weights/{wildcards.backbone} {params.files}"
        " --record {output.record} --log {log}"


rule list_weights:
    """List the weights that the workflow can load: address, size, digest, licence, what they were trained on."""
    output:
        ledger="resources/weights/ledger.csv",
    log:
        "results/logs/list_weights.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
    params:
        code=code_of("stages.list_weights", *backbone_modules()),
    message:
        "List the weights that can be loaded"
    shell:
        "python -m serflow.stages.list_weights --ledger {output.ledger} --log {log}"


rule measure_corpus:
    """Measure what a feature of a whole corpus is standardised by."""
    input:
        unpack(noise_inputs),
        unpack(weights_inputs),
        audio=audio_shards,
    output:
        statistics="results/statistics/{feature}/{corpus}/{condition}.json",
    log:
        "results/logs/measure_corpus/{feature}/{corpus}/{condition}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(feature_device),
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        network=network_options,
        noise=noise_options,
        code=lambda wildcards: code(
            "stages.measure_corpus", *feature_modules(wildcards.feature)
        ),
    message:
        "Measure {wildcards.corpus}, {wildcards.condition}, for {wildcards.feature}"
    shell:
        "python -m serflow.stages.measure_corpus --feature {wildcards.feature} {params.network} --weights {input.weights}"
        " --corpus {wildcards.corpus} --condition {wildcards.condition} --audio {input.audio} {params.noise}"
        " --code {params.code} --statistics {output.statistics} --log {log}"


rule extract_features:
    """Extract one feature of one shard in one condition."""
    input:
        unpack(noise_inputs),
        unpack(weights_inputs),
        unpack(statistics_inputs),
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
        **on_device(feature_device),
        mem_mb=memory(feature_memory),
        runtime=minutes(60),
    params:
        extractor=lambda wildcards: CONFIG.extractor(wildcards.feature),
        parameters=lambda wildcards: as_json(CONFIG.parameters(wildcards.feature)),
        network=network_options,
        weights=weights_option,
        statistics=statistics_option,
        noise=noise_options,
        rounding=rounding_options,
        code=lambda wildcards: code(
            "stages.extract_features", *feature_modules(wildcards.feature)
        ),
    message:
        "Extract {wildcards.feature} of {wildcards.corpus}, {wildcards.condition}, shard {wildcards.shard}"
    shell:
        "python -m serflow.stages.extract_features --feature {wildcards.feature} --extractor {params.extractor}"
        " --parameters {params.parameters:q} {params.network} {params.weights} {params.statistics} --corpus {wildcards.corpus}"
        " --condition {wildcards.condition} --audio {input.audio} {params.noise} {params.rounding}"
        " --code {params.code} --frames {output.frames} --log {log}"


rule pack_features:
    """Pack the shards of a store into one memory-mapped array for training."""
    input:
        shards=feature_shards,
    output:
        array="results/packed/{feature}/{corpus}/{condition}.npy",
        index="results/packed/{feature}/{corpus}/{condition}.parquet",
    log:
        "results/logs/pack_features/{feature}/{corpus}/{condition}.log",
    wildcard_constraints:
        feature=f"{'|'.join(CONFIG.features)}|{TEXT_FEATURE}(deepspeech|wav2vec2|reference)",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        code=code_of("stages.pack_features"),
    message:
        "Pack {wildcards.feature} of {wildcards.corpus}, {wildcards.condition}"
    shell:
        "python -m serflow.stages.pack_features --shards {input.shards} --array {output.array}"
        " --index {output.index} --log {log}"


rule features:
    """All stores that the configuration asks for: the features of every corpus, clean and in every profile."""
    input:
        [store_shards(*store) for store in CONFIG.features_asked_for()],
        "resources/weights/ledger.csv",
    message:
        "All feature stores are there; look into one with `serflow inspect results/features/...`"


# A store is a folder of shards. A rule of the folder's name makes the folder a target:
# `snakemake --cores 8 results/features/ge2e/emodb/clean`.
for feature, corpus, condition in CONFIG.feature_stores():

    rule:
        name:
            f"results/features/{feature}/{corpus}/{condition}"
        input:
            store_shards(feature, corpus, condition),
        message:
            f"The store of {feature} of {corpus}, {condition}, is there"
