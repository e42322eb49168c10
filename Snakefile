# The entry: `snakemake --cores 4` at the root runs the tier that config.yaml names.
# Rules of an included file never become the default target, so the default is named here.
include: "workflow/Snakefile"


localrules:
    everything,


rule everything:
    input:
        rules.all.input,
