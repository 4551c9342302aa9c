from xml.etree import ElementTree

from scripts import chart


def test_the_plot_is_xml_and_has_a_point_for_every_layer() -> None:
    text = chart.lines("a < b", "dB", ["x", "y", "z"], {"one": [1.0, 2.0, 2.0], "two": [3, 4, 5]})
    root = ElementTree.fromstring(text)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [3, 3]
    flat = chart.lines("flat", "dB", ["x"], {"one": [2.0]})
    assert ElementTree.fromstring(flat) is not None
