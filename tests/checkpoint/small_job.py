# SPDX-License-Identifier: Apache-2.0
"""The job of these tests: a GPT that trains in a moment, on a text beside it."""

JOB = """
[job]
steps = {steps}
evaluate_every = {evaluate_every}
{job}
[model]
layers = 2
hidden = {hidden}
heads = 2
sequence = 16
dropout = 0.1
[data]
path = ["{folder}/text"]
[batch]
global = 4
micro = 1
[checkpoint]
{checkpoint}
{more}
"""


def write_job(path, steps, evaluate_every, checkpoint, job="", more="", hidden=16):
    """`checkpoint`, `job`: lines of these sections; `more`: other sections. The text lies beside it."""
    folder = path.parent
    (folder / "text").write_text("".join(f"line {i} of the text\n" for i in range(3000)))
    path.write_text(JOB.format(steps=steps, evaluate_every=evaluate_every, hidden=hidden, folder=folder, job=job,
                               checkpoint=checkpoint, more=more))
