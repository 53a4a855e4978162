"""What Helm makes of a chart. Takes one JSON object as its argument, prints one."""

import json
import sys

import helm_python as helm

asked = json.loads(sys.argv[1])
release = {"name": "herald", "namespace": asked.get("namespace", "herald-system")}


def answer():
    what, chart, values = asked["do"], asked["chart"], asked.get("values")
    if what == "lint":
        return {"said": helm.lint(chart, values, namespace=release["namespace"])["messages"]}
    if what == "render":
        with helm.Chart.load(chart) as loaded:
            return {"files": loaded.render(values, **release)}
    with helm.Config(kubeconfig_path=asked["kubeconfig"], namespace=release["namespace"]) as config:
        if what == "install":
            config.install(chart, "herald", values, namespace=release["namespace"], create_namespace=True)
        elif what == "upgrade":
            config.upgrade(chart, "herald", values, namespace=release["namespace"])
        elif what == "rollback":
            config.rollback("herald")
        elif what == "uninstall":
            config.uninstall("herald")
    return {}


try:
    said = answer()
except helm.HelmError as error:
    said = {"refused": str(error)}
json.dump(said, sys.stdout)
