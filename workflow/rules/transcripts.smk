# Transcripts: speech, clean or noisy -> words -> token embeddings. For the multimodal methods.


rule fetch_deepspeech:
    """Fetch DeepSpeech's engine, pinned by digest."""
    output:
        engine=DEEPSPEECH_ENGINE,
    log:
        "results/logs/fetch_deepspeech.log",
    localrule: True
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(15),
    params:
        code=code_of("stages.fetch_deepspeech"),
    message:
        "Fetch the engine of DeepSpeech 0.9.3"
    shell:
        "python -m serflow.stages.fetch_deepspeech --engine {output.engine} --log {log}"


rule transcribe:
    """Recognise the words of one shard in one condition."""
    input:
        unpack(noise_inputs),
        unpack(recogniser_inputs),
        audio="results/audio/{corpus}/{shard}.parquet",
        utterances="results/corpora/{corpus}/utterances.parquet",
    output:
        transcripts="results/transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet",
    log:
        "results/logs/transcribe/{recogniser}/{corpus}/{condition}/{shard}.log",
    benchmark:
        "results/benchmarks/transcribe/{recogniser}/{corpus}/{condition}/{shard}.tsv"
    priority: 1  # the longest trainings wait for it
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(recogniser_device),
        mem_mb=memory(3000),
        runtime=minutes(120),
    params:
        recogniser=recogniser_options,
        engine=engine_state,
        weights=weights_option,
        noise=noise_options,
        code=lambda wildcards: code(
            "stages.transcribe", *recogniser_modules(wildcards.recogniser)
        ),
    message:
        "Transcribe {wildcards.corpus} with {wildcards.recogniser}, {wildcards.condition}, shard {wildcards.shard}"
    shell:
        "python -m serflow.stages.transcribe --recogniser {wildcards.recogniser} {params.recogniser} {params.weights}"
        " --corpus {wildcards.corpus} --condition {wildcards.condition} --audio {input.audio} {params.noise}"
        " --utterances {input.utterances} --code {params.code} --transcripts {output.transcripts} --log {log}"


rule embed_text:
    """Embed the transcripts of one shard with BERT: a row a token."""
    input:
        transcripts="results/transcripts/{recogniser}/{corpus}/{condition}/{shard}.parquet",
        weights="resources/weights/bert.json",
    output:
        frames=f"results/features/{TEXT_FEATURE}{{recogniser}}/{{corpus}}/{{condition}}/{{shard}}.parquet",
    log:
        "results/logs/embed_text/{recogniser}/{corpus}/{condition}/{shard}.log",
    benchmark:
        "results/benchmarks/embed_text/{recogniser}/{corpus}/{condition}/{shard}.tsv"
    priority: 1  # the longest trainings wait for it
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        **on_device(CONFIG.backbones["bert"].device),
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        options=as_json(backbone_options("bert")),
        code=code_of("stages.embed_text", "backbones.bert"),
    message:
        "Embed the words that {wildcards.recogniser} found in {wildcards.corpus}, {wildcards.condition}, shard {wildcards.shard}"
    shell:
        f"python -m serflow.stages.embed_text --feature {TEXT_FEATURE}{{wildcards.recogniser}}"
        " --transcripts {input.transcripts} --weights {input.weights} --options {params.options:q}"
        " --code {params.code} --frames {output.frames} --log {log}"


# As with features, a store's folder is a target: `snakemake --cores 8 results/transcripts/deepspeech/iemocap/h1`.
for recogniser, corpus, condition in CONFIG.transcript_stores():

    rule:
        name:
            f"results/transcripts/{recogniser}/{corpus}/{condition}"
        input:
            transcript_shards(recogniser, corpus, condition),
        message:
            f"The transcripts of {corpus} by {recogniser}, {condition}, are there; look at them with `serflow inspect`"
