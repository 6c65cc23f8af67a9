# Corpora: the publisher's labels and files -> utterance table, rejected files, prepared audio, splits.


rule make_synthetic_corpus:
    """Speak a small stand-in corpus with Praat's synthesiser, in the publisher's layout."""
    output:
        manifest="resources/synthetic/{corpus}.json",
    log:
        "results/logs/make_synthetic_corpus/{corpus}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        root=synthetic_root,
        options=as_json(CONFIG.synthetic.of_voices()),
        code=lambda wildcards: code(
            "stages.make_synthetic_corpus", f"synthetic.{wildcards.corpus}"
        ),
    message:
        "Speak the stand-in for {wildcards.corpus}"
    shell:
        "python -m serflow.stages.make_synthetic_corpus --corpus {wildcards.corpus} --root={params.root:q}"
        " --options {params.options:q} --manifest {output.manifest} --log {log}"


rule list_utterances:
    """Read the labels of a corpus and check them against the published counts."""
    input:
        corpus_manifest,
    output:
        listing="results/corpora/{corpus}/listing.parquet",
        rejected="results/corpora/{corpus}/listing_rejected.csv",
    log:
        "results/logs/list_utterances/{corpus}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        root=corpus_root,
        state=corpus_state,
        files=corpus_files,
        layout=lambda wildcards: option("layout", CONFIG.layout(wildcards.corpus)),
        title=lambda wildcards: option("title", CONFIG.title(wildcards.corpus)),
        language=lambda wildcards: option("language", CONFIG.language(wildcards.corpus)),
        options=lambda wildcards: as_json(corpus_options(wildcards)),
        synthetic=lambda wildcards: flag(
            "synthetic", CONFIG.is_synthetic(wildcards.corpus)
        ),
        partial=lambda wildcards: flag(
            "allow-partial", CONFIG.corpora[wildcards.corpus].allow_partial
        ),
        code=lambda wildcards: code(
            "stages.list_utterances", f"corpora.{CONFIG.layout(wildcards.corpus)}"
        ),
    message:
        "Read the labels of {wildcards.corpus} in {params.root}"
    shell:
        "python -m serflow.stages.list_utterances --corpus {wildcards.corpus} {params.layout:q}"
        " --root={params.root:q} {params.files} --options {params.options:q} {params.title:q}"
        " {params.language:q} {params.synthetic} {params.partial}"
        " --listing {output.listing} --rejected {output.rejected} --log {log}"


rule prepare_audio:
    """Decode a shard of a corpus to 16 kHz mono; what cannot be used is listed with its reason."""
    input:
        listing="results/corpora/{corpus}/listing.parquet",
    output:
        audio="results/audio/{corpus}/{shard}.parquet",
        rejected="results/audio/{corpus}/{shard}_rejected.csv",
    log:
        "results/logs/prepare_audio/{corpus}/{shard}.log",
    benchmark:
        "results/benchmarks/prepare_audio/{corpus}/{shard}.tsv"
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        root=corpus_root,
        state=corpus_state,
        n_shards=lambda wildcards: CONFIG.n_shards(wildcards.corpus),
        options=as_json(
            CONFIG.audio.model_dump(include={"min_duration_s", "max_duration_s"})
        ),
        code=code_of("stages.prepare_audio"),
    message:
        "Decode {wildcards.corpus}, shard {wildcards.shard} of {params.n_shards}"
    shell:
        "python -m serflow.stages.prepare_audio --listing {input.listing} --root={params.root:q}"
        " --shard {wildcards.shard} --n-shards {params.n_shards} --options {params.options:q}"
        " --audio {output.audio} --rejected {output.rejected} --log {log}"


rule accept_utterances:
    """Join labels and audio: every listed utterance is accepted or rejected, and counted."""
    input:
        listing="results/corpora/{corpus}/listing.parquet",
        listing_rejected="results/corpora/{corpus}/listing_rejected.csv",
        audio=audio_shards,
        audio_rejected=lambda wildcards: [
            shard.replace(".parquet", "_rejected.csv")
            for shard in audio_shards(wildcards)
        ],
    output:
        utterances="results/corpora/{corpus}/utterances.parquet",
        rejected="results/corpora/{corpus}/rejected.csv",
        duplicates="results/corpora/{corpus}/duplicates.csv",
    log:
        "results/logs/accept_utterances/{corpus}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        max_rejected=lambda wildcards: CONFIG.corpora[wildcards.corpus].max_rejected,
        partial=lambda wildcards: flag(
            "allow-partial", CONFIG.corpora[wildcards.corpus].allow_partial
        ),
        same_audio=lambda wildcards: CONFIG.corpora[wildcards.corpus].duplicates,
        code=code_of("stages.accept_utterances"),
    message:
        "Count what is accepted and rejected of {wildcards.corpus}"
    shell:
        "python -m serflow.stages.accept_utterances --listing {input.listing}"
        " --listing-rejected {input.listing_rejected} --audio {input.audio}"
        " --audio-rejected {input.audio_rejected} --max-rejected {params.max_rejected} {params.partial}"
        " --same-audio {params.same_audio} --utterances {output.utterances}"
        " --rejected {output.rejected} --duplicates {output.duplicates} --log {log}"


rule split_utterances:
    """Deal dialogues, speakers or sessions to training, validation and test, by a named protocol."""
    input:
        utterances="results/corpora/{corpus}/utterances.parquet",
    output:
        split="results/splits/{corpus}/{protocol}.parquet",
    log:
        "results/logs/split_utterances/{corpus}/{protocol}.log",
    conda:
        "../../envs/serflow.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        code=code_of("stages.split_utterances"),
    message:
        "Split {wildcards.corpus} by {wildcards.protocol}"
    shell:
        "python -m serflow.stages.split_utterances --utterances {input.utterances}"
        " --protocol {wildcards.protocol} --split {output.split} --log {log}"
