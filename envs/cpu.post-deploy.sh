# Snakemake runs this once, inside the new environment and from the folder it was started in: the package itself.
pip install --no-deps --quiet -e .
