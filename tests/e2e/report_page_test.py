#!/usr/bin/env python3
"""report.html in a browser: interactive, without a network, whatever names are in it, and without scripts too.

usage: report_page_test.py --bin-dir build/host/bin --screenshots build/host/screenshots
Exits with 77 where there is no Chromium: skipped, and said so.
"""
import pathlib
import subprocess
import sys
import tempfile

import browser_test
import made_runs

ONE = [("tp1", "bfloat16", 1)]
LAYOUTS = [("tp1", "bfloat16", 1), ("tp2", "bfloat16", 2), ("tp4", "bfloat16", 4), ("tp2", "fp8 per tensor", 2),
           ("tp2-pp2", "bfloat16", 4)]
POWERS = [2 ** i for i in range(7)]
HOSTILE = """</script><b class="hostile">bold</b><img src=x onerror="hostile=1"> & "quoted" 'model' \\u003c ]]>"""


class ReportPageTest(browser_test.BrowserTest):
    """Each test draws reports with the program and opens them in one browser."""

    HEIGHT = 900

    def setUp(self):
        super().setUp()
        self.browser.call("Emulation.setScriptExecutionDisabled", value=False)
        self.runs = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))

    def report(self, *runs):
        """`regatta report`; the page's path."""
        subprocess.run([browser_test.options.bin_dir / "regatta", "report", *runs], check=True, cwd=self.runs, stdout=subprocess.DEVNULL)
        return (runs[0] if len(runs) == 1 else self.runs / "overlay") / "report.html"

    def open(self, page):
        self.browser.goto(page.as_uri())
        self.browser.wait_for("document.querySelector('canvas')", "the charts")

    def count(self, selector):
        return self.browser.evaluate(f"document.querySelectorAll({selector!r}).length")

    def datasets(self, index=0):
        """Labels of a chart's series."""
        return self.browser.evaluate(f"Chart.getChart(document.querySelectorAll('canvas')[{index}]).data.datasets.map(d => d.label)")

    def assert_sound(self):
        """Nothing went wrong, nothing was loaded, every chart has something in it."""
        self.assertEqual(self.browser.complaints, [])
        self.assertEqual(self.browser.evaluate("performance.getEntriesByType('resource').map(r => r.name)"), [])
        painted = """[...document.querySelectorAll('canvas')].map(c => {
          const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
          return new Set(new Uint32Array(pixels.buffer)).size; })"""
        for colors in self.browser.evaluate(painted):
            self.assertGreater(colors, 20)

    def screenshots(self, name):
        """Of all sizes and colours, whole pages, for people to look at."""
        for width, size in ((1180, "desktop"), (390, "mobile")):
            for dark in (False, True):
                self.browser.look(width, 900, dark, scale=1)
                self.browser.call("Page.reload")
                self.browser.wait_for("document.readyState === 'complete' && document.querySelector('canvas')", "the page")
                self.assertEqual(self.browser.evaluate("document.documentElement.scrollWidth - innerWidth"), 0,
                                 f"{name}: the page is wider than {width} px")
                if size == "desktop":
                    hidden = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
                    self.assertEqual(self.browser.evaluate(hidden), 0, f"{name}: a table is cut off at {width} px")
                self.browser.look(width, self.browser.evaluate("document.documentElement.scrollHeight"), dark, scale=1)
                self.browser.screenshot(browser_test.options.screenshots / f"report-{name}-{size}{'-dark' if dark else ''}.png")
                self.assert_sound()

    def move_to(self, selector, x, y, press=False):
        """The mouse to a place in an element, in its pixels."""
        box = self.browser.evaluate(f"""(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView();
          const b = e.getBoundingClientRect(); return [b.left, b.top]; }})()""")
        at = {"x": box[0] + x, "y": box[1] + y}
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
        for event in ("mousePressed", "mouseReleased") if press else ():
            self.browser.call("Input.dispatchMouseEvent", type=event, button="left", clickCount=1, **at)

    def test_several_layouts(self):
        self.open(self.report(made_runs.make(self.runs / "layouts", LAYOUTS, POWERS)))
        self.assertEqual(self.datasets(), ["best of all"] + [f"{layout} {precision}" for layout, precision, _ in LAYOUTS])
        self.assertEqual(self.count("figure[data-chart] canvas"), 6)
        self.assertEqual(self.count("table.heat td.cell"), 2 * len(LAYOUTS) * len(POWERS))
        self.assertEqual(self.count("#course option"), len(LAYOUTS) * len(POWERS))
        self.screenshots("layouts")

    def test_which_layout_wins(self):
        """An experiment over layouts, one of which could not be tried."""
        run = made_runs.make(self.runs / "partition", LAYOUTS[1:3], POWERS)
        made_runs.add_partition(run, "<i>tp8</i> needs 8 ranks")
        self.open(self.report(run))
        self.assertEqual(self.browser.text(".partition h2"), "Which layout wins at which speed")
        self.assertEqual(self.browser.evaluate("[...document.querySelectorAll('.partition td.on')].map(e => e.innerText)"),
                         [">= 812.5 40 users", "410.0 12 users"])
        self.assertIn("not reached", self.browser.text(".partition"))
        self.assertEqual(self.count(".partition i"), 0)
        self.browser.evaluate("document.querySelector('.candidates').open = true")
        self.assertIn("impossible: <i>tp8</i> needs 8 ranks", self.browser.text(".candidates"))
        self.assertEqual(self.count("table.heat td.cell"), 2 * 2 * len(POWERS))
        self.screenshots("partition")

    def test_more_series_than_colours(self):
        """Series of one colour have marks of their own, and so have their keys."""
        kinds = [(f"tp{ranks}", precision, ranks) for precision in ("bfloat16", "fp8 per tensor") for ranks in (1, 2, 4, 8)]
        self.open(self.report(made_runs.make(self.runs / "many", kinds, POWERS)))
        chart = "Chart.getChart(document.querySelector('canvas'))"
        looks = self.browser.evaluate(f"{chart}.data.datasets.slice(1).map(d => d.borderColor + ' ' + d.pointStyle)")
        self.assertEqual(len(set(looks)), len(kinds), looks)
        keys = self.browser.evaluate(f"{chart}.legend.legendItems.map(k => k.strokeStyle + ' ' + k.pointStyle)")
        self.assertEqual(len(set(keys)), len(kinds) + 1, keys)
        self.screenshots("many")

    def test_what_users_waited_and_what_limits_figures_is_seen(self):
        run = made_runs.make(self.runs / "waits", LAYOUTS[:2], POWERS)
        made_runs.add_waits(run, "client-bound: <i>a thread</i> was busy 97 % of the time; " + "so it was late " * 12)
        self.open(self.report(run))
        self.assertIn("! tp2 bfloat16, 1280/s c=64 client-bound: <i>a thread</i> was busy", self.browser.text(".notes"))
        self.assertTrue(self.browser.evaluate("document.querySelector('.notes').checkVisibility()"))
        self.assertEqual(self.browser.evaluate("[...document.querySelectorAll('.noted')].map(e => e.parentElement.innerText)"), ["! 1280/s c=64"])
        self.assertEqual(self.browser.evaluate("[...document.querySelectorAll('td.bad')].map(e => e.innerText)"), ["yes"])
        self.assertIn("532.0 ms", self.browser.text(".facts"))
        self.assertEqual(self.browser.text("figure[data-chart='2'] p"), "p50 solid, p95 dashed, p99 dotted; from when requests were due")
        self.screenshots("waits")

    def test_labels_cover_neither_marks_nor_one_another(self):
        self.open(self.report(made_runs.make(self.runs / "crowd", LAYOUTS, range(1, 65, 3))))
        shown, covered = self.browser.evaluate("""(() => {
          const chart = Chart.getChart(document.querySelector('canvas')), labels = [];
          const marks = chart.data.datasets.flatMap((dataset, i) => dataset.pointRadius ? chart.getDatasetMeta(i).data : []);
          chart.ctx.fillText = (text, x, y) => {
            if (String(text).startsWith('c=')) labels.push({left: x, right: x + chart.ctx.measureText(text).width, top: y - 8, bottom: y});
          };
          chart.draw();
          const boxes = labels.concat(marks.map(({x, y}) => ({left: x - 4, right: x + 4, top: y - 4, bottom: y + 4})));
          const cover = (a, b) => a !== b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
          return [labels.length, labels.filter(label => boxes.some(box => cover(label, box))).length]; })()""")
        self.assertGreater(shown, 10)
        self.assertEqual(covered, 0)

    def test_hover_shows_the_point_and_the_legend_hides_a_series(self):
        self.open(self.report(made_runs.make(self.runs / "run", LAYOUTS[:2], POWERS)))
        chart = "Chart.getChart(document.querySelector('canvas'))"
        x, y = self.browser.evaluate(f"(p => [p.x, p.y])({chart}.getDatasetMeta(1).data[3])")
        self.move_to("canvas", x, y)
        self.browser.wait_for(f"{chart}.tooltip.opacity > 0", "the tooltip")
        lines = self.browser.evaluate(f"{chart}.tooltip.body.flatMap(b => b.lines)")
        self.assertEqual(lines[0], "tp1 bfloat16")
        self.assertIn("c=8", lines[1])
        self.assertIn("tok/s/user", lines[1])
        x, y = self.browser.evaluate(f"(k => [k.left + k.width / 2, k.top + k.height / 2])({chart}.legend.legendHitBoxes[2])")
        self.move_to("canvas", x, y, press=True)
        self.browser.wait_for(f"!{chart}.isDatasetVisible(2)", "the series to go")
        self.assertTrue(self.browser.evaluate(f"{chart}.isDatasetVisible(1)"))

    def test_another_point_over_time(self):
        self.open(self.report(made_runs.make(self.runs / "run", ONE, POWERS)))
        highest = "Math.max(...Chart.getChart(document.querySelector('#course-charts canvas')).data.datasets[0].data.map(p => p.y))"
        self.assertEqual(self.count("#course-charts canvas"), 7)
        self.assertEqual(self.browser.evaluate(highest), 64)
        self.browser.evaluate("(s => { s.value = 2; s.dispatchEvent(new Event('change')); })(document.getElementById('course'))")
        self.assertEqual(self.browser.evaluate(highest), 4)
        self.assertEqual(self.count("#course-charts canvas"), 7)
        self.assert_sound()

    def test_charts_over_time_share_their_axis_and_the_moment_pointed_at(self):
        self.open(self.report(made_runs.make(self.runs / "run", LAYOUTS[:2], POWERS)))
        charts = "[...document.querySelectorAll('#course-charts canvas')].map(canvas => Chart.getChart(canvas))"
        self.assertEqual(self.browser.evaluate(f"{charts}.map(chart => chart.scales.x.max)"), [60] * 7)
        self.assertEqual(self.browser.text("#course-charts figure:nth-child(4) h3"), "GPU power")
        # Of the pixels above one another at 26 s, the part that is painted.
        painted = f"""{charts}.map(chart => {{
          const scale = chart.currentDevicePixelRatio, area = chart.chartArea, x = chart.scales.x.getPixelForValue(26);
          const pixels = chart.ctx.getImageData(Math.round(x * scale) - 1, area.top * scale, 3, (area.bottom - area.top) * scale).data;
          const rows = pixels.length / 12;
          return [...Array(rows).keys()].filter(row => [3, 7, 11].some(i => pixels[12 * row + i] > 0)).length / rows; }})"""
        for part in self.browser.evaluate(painted):
            self.assertLess(part, 0.5)
        x, y = self.browser.evaluate(f"(c => [c.scales.x.getPixelForValue(26), c.chartArea.top + 20])({charts}[3])")
        self.move_to("#course-charts figure:nth-child(4) canvas", x, y)
        self.browser.wait_for(f"{painted}.every(part => part > 0.9)", "the moment in all charts")

    def test_one_point_of_a_hostile_model(self):
        self.open(self.report(made_runs.make(self.runs / "one", ONE, [1], model=HOSTILE, on_gpus=False)))
        self.assertEqual(self.count(".hostile, img"), 0)
        self.assertEqual(self.browser.evaluate("typeof hostile"), "undefined")
        self.assertIn(HOSTILE, self.browser.text("figure p"))
        self.assertIn("device: CPU ranks, not a performance figure; dummy weights", self.browser.text(".warn"))
        self.assertEqual(self.count("figure .note"), 0, "what the page says above is not said again")
        self.screenshots("one")

    def test_forty_points(self):
        self.open(self.report(made_runs.make(self.runs / "forty", ONE, range(1, 161, 4))))
        self.assertEqual(len(self.datasets(4)), 8)
        self.assertIn("8 of 40 points", self.browser.text("figure[data-chart='4'] p"))
        self.screenshots("forty")

    def test_runs_over_one_another(self):
        runs = [made_runs.make(self.runs / "first", ONE, POWERS), made_runs.make(self.runs / "second", LAYOUTS[1:2], POWERS, on_gpus=False)]
        self.open(self.report(*runs))
        self.assertEqual(self.datasets(), ["best of all", "A tp1 bfloat16", "B tp2 bfloat16"])
        self.assertIn("B: device: CPU ranks, not a performance figure; dummy weights", self.browser.text(".warn"))
        self.screenshots("overlay")

    def test_results_alone(self):
        """Of older runs and of those made by other programs."""
        self.open(self.report(made_runs.make(self.runs / "bare", ONE, POWERS, details=False)))
        self.assertEqual(self.count("figure[data-chart] canvas"), 4)
        self.assertFalse(self.browser.evaluate("document.getElementById('courses').checkVisibility()"))
        self.assert_sound()

    def test_without_scripts(self):
        page = self.report(made_runs.make(self.runs / "plain", LAYOUTS, POWERS))
        self.browser.call("Emulation.setScriptExecutionDisabled", value=True)
        self.browser.goto(page.as_uri())
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        for selector, number in (("figure svg", 6), ("canvas", 0), ("table.heat", 2), ("noscript p", 1)):
            found = self.browser.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
            self.assertEqual(len(found), number, selector)
        self.browser.screenshot(browser_test.options.screenshots / "report-without-scripts.png")


if __name__ == "__main__":
    sys.exit(browser_test.main("reports are"))
