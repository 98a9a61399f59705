from tests.report.page.documents import made_up
from zeropoint.report.page.html.drawing import BOX, LETTERS, drawing


def test_boxes_lie_inside_and_do_not_touch() -> None:
    document = made_up(40)
    drawn = drawing(document["graph"], document["layers"])
    taken = set()
    for node in drawn["nodes"]:
        assert 0 <= node["x"] <= drawn["width"] - BOX[0]
        assert 0 <= node["y"] <= drawn["height"] - BOX[1]
        taken.add((node["x"], node["y"]))
    assert len(taken) == len(drawn["nodes"])


def test_long_names_keep_their_end() -> None:
    document = made_up(6)
    box = {**document["graph"]["nodes"][1], "name": "features.denseblock4.denselayer16.conv2"}
    graph = {**document["graph"], "nodes": [box]}
    name = drawing(graph, document["layers"])["nodes"][0]["name"]
    assert name.endswith("layer16.conv2")
    assert name.startswith("\N{HORIZONTAL ELLIPSIS}")
    assert len(name) <= LETTERS


def test_what_stays_float_says_why() -> None:
    document = made_up(6)
    passive = drawing(document["graph"], document["layers"])["nodes"][-1]
    assert passive["value"] is None
    assert passive["style"] == "passive float"
    assert "stays float. No integer form." in passive["title"]
