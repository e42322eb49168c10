# The entry: `snakemake --cores 4` at the root runs the tier that config.yaml names.
# A file that only includes another has no default target, so the target is set here by the rule `all` of the included one.
include: "workflow/Snakefile"
