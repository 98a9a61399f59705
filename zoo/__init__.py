"""Networks of many architectures and several hands, each through the whole path: `python -m zoo`.

network.py      what a network is to the zoo
inputs.py       what it is fed: images, sounds, clips, volumes
weights.py      seeded weights made sane, where there are no trained ones
networks/       definitions written here, one file a family
packages/       definitions from transformers, torchvision, timm and segmentation-models-pytorch
pretrained/     networks whose weights ship in a registry package, with a metric on real inputs
registry.py     all of them
measure.py      one network in this process, stage by stage, onto a file
peers.py        the other engines on the same network and images
run.py          the command: a process for each network, with limits; resumes
page.py         the table of README.md
"""
