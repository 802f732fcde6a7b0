'use strict';
// Draws charts (chart_json.h) with Chart.js, in the page's colours.
const charts = (() => {
  const DASHES = {solid: [], dashed: [7, 4], dotted: [2, 4]};
  const SHAPES = {circle: 'circle', triangle: 'triangle', square: 'rect', diamond: 'rectRot'};
  const LABEL_FONT = 11;

  function pageColors() {
    const style = getComputedStyle(document.documentElement);
    const color = name => style.getPropertyValue(name).trim();
    return {text: color('--text'), soft: color('--soft'), line: color('--line'), card: color('--card')};
  }

  function short(value) {
    if (Math.abs(value) >= 10000) return `${Number((value / 1000).toPrecision(4))}k`;
    return String(Number(Number(value).toPrecision(4)));
  }

  function dataset(series, colors) {
    const color = series.color || colors.soft;
    const marks = !series.marks ? 0 : series.mark === 'circle' ? 4.5 : 5.5;
    return {
      label: series.name, inLegend: series.in_legend, data: series.points, showLine: series.line, borderColor: color, backgroundColor: color,
      borderDash: DASHES[series.stroke], borderWidth: 2, pointStyle: SHAPES[series.mark], pointRadius: marks, pointHoverRadius: marks + 2,
      pointHitRadius: 8, pointBorderWidth: 2,
      pointBackgroundColor: context => context.raw && context.raw.hollow ? colors.card : color,
    };
  }

  // To the right of a mark, left, above, below: which part of the text is left of its place, and how far that is from the mark.
  const LABEL_PLACES = [{left: 0, dx: 8, dy: -8}, {left: 1, dx: -8, dy: 16}, {left: 0.5, dx: 0, dy: -12}, {left: 0.5, dx: 0, dy: 20}];

  function covers(a, b) {
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  }

  // Labels beside their marks, of filled ones first; those that would cover marks or labels are left out.
  const labels = {
    id: 'labels',
    afterDatasetsDraw(chart) {
      const context = chart.ctx;
      const points = chart.data.datasets.flatMap((dataset, index) => {
        if (!chart.isDatasetVisible(index) || dataset.pointRadius === 0) return [];
        const elements = chart.getDatasetMeta(index).data;
        return dataset.data.map((point, i) => ({...point, at: elements[i]})).filter(point => point.at);
      });
      points.sort((a, b) => Boolean(a.hollow) - Boolean(b.hollow));
      context.save();
      context.font = `${LABEL_FONT}px ${Chart.defaults.font.family}`;
      context.fillStyle = pageColors().soft;
      const taken = points.map(({at}) => ({left: at.x - 6, right: at.x + 6, top: at.y - 6, bottom: at.y + 6}));
      const area = {...chart.chartArea, right: chart.width};
      for (const {label, at} of points.filter(point => point.label)) {
        const width = context.measureText(label).width;
        const boxes = LABEL_PLACES.map(({left, dx, dy}) => ({
          left: at.x + dx - left * width, right: at.x + dx + (1 - left) * width, top: at.y + dy - 9, bottom: at.y + dy + 3, y: at.y + dy}));
        const box = boxes.find(box => box.left >= area.left && box.right <= area.right &&
                                      box.top >= area.top && box.bottom <= area.bottom &&
                                      !taken.some(other => covers(box, other)));
        if (!box) continue;
        taken.push(box);
        context.fillText(label, box.left, box.y);
      }
      context.restore();
    },
  };

  // In all charts over one time, a line at the moment that is pointed at in one of them.
  function pointer(group) {
    const show = moment => {
      if (group.moment === moment) return;
      group.moment = moment;
      for (const chart of group.charts) chart.draw();
    };
    return {
      id: 'pointer',
      afterInit(chart) { group.charts.add(chart); },
      afterDestroy(chart) { group.charts.delete(chart); },
      afterEvent(chart, {event, inChartArea}) {
        show(inChartArea && event.type !== 'mouseout' ? chart.scales.x.getValueForPixel(event.x) : null);
      },
      afterDatasetsDraw({ctx, chartArea, scales}) {
        if (group.moment === null) return;
        const x = scales.x.getPixelForValue(group.moment);
        ctx.save();
        ctx.strokeStyle = pageColors().soft;
        ctx.beginPath();
        ctx.moveTo(x, chartArea.top);
        ctx.lineTo(x, chartArea.bottom);
        ctx.stroke();
        ctx.restore();
      },
    };
  }

  function axis(title, colors) {
    return {
      type: 'linear', beginAtZero: true, title: {display: true, text: title, color: colors.text},
      grid: {color: colors.line, borderColor: colors.soft}, ticks: {color: colors.soft, callback: short, maxRotation: 0},
    };
  }

  // Powers of two, a little beyond the data.
  function powersOfTwo(chart, scale) {
    const values = chart.series.flatMap(series => series.points.map(point => Math.max(point.x, 1 / 1024)));
    const low = Math.floor(Math.log2(Math.min(...values)));
    const high = Math.max(low + 1, Math.ceil(Math.log2(Math.max(...values))));
    const stride = 1 + Math.floor((high - low) / 11);
    const ticks = [];
    for (let power = low; power <= high; power += stride) ticks.push({value: 2 ** power});
    const callback = value => value < 1 ? String(Number(value.toPrecision(2))) : short(value);
    return {...scale, ticks: {...scale.ticks, callback}, type: 'logarithmic', beginAtZero: false, min: 2 ** (low - 0.15), max: 2 ** (high + 0.15),
            afterBuildTicks(axis) { axis.ticks = ticks; }};
  }

  function tooltipLines(item) {
    const {x, y, tooltip} = item.raw;
    if (!tooltip) return `${item.dataset.label}: ${short(y)} at ${short(x)}`;
    const head = tooltip.startsWith(item.dataset.label) ? [] : [item.dataset.label];
    return head.concat(tooltip.split(', '));
  }

  function configuration(chart, colors, group) {
    const x = axis(chart.x_label, colors);
    const y = axis(chart.y_label, colors);
    if (chart.y_max) y.max = chart.y_max; else y.grace = '5%';
    if (chart.x_max) Object.assign(x, {max: chart.x_max, ticks: {...x.ticks, includeBounds: false}});
    return {
      type: 'scatter', data: {datasets: chart.series.map(series => dataset(series, colors))}, plugins: group ? [labels, pointer(group)] : [labels],
      options: {
        animation: false, responsive: true, maintainAspectRatio: false,
        interaction: {mode: 'nearest', intersect: false}, layout: {padding: {top: 8, right: 8}},
        scales: {x: chart.log_x ? powersOfTwo(chart, x) : x, y},
        plugins: {
          legend: {display: chart.series.length > 1, align: 'start',
                   onClick: toggle,
                   labels: {color: colors.soft, ...keySize(chart), filter: (key, data) => data.datasets[key.datasetIndex].inLegend,
                            generateLabels: lineKeys}},
          tooltip: {callbacks: {title: () => '', label: tooltipLines}, displayColors: false, filter: (item, i) => i === 0},
        },
      },
    };
  }

  // Keys are lines, or marks where the chart has any.
  function keySize(chart) {
    const marks = chart.series.some(series => series.marks);
    return marks ? {usePointStyle: true, boxHeight: 8, boxWidth: 14} : {boxHeight: 0, boxWidth: 22};
  }

  // Keys show colour, and mark or stroke.
  function lineKeys(chart) {
    return Chart.defaults.plugins.legend.labels.generateLabels(chart).map(key => {
      const {borderColor, borderDash, pointRadius, pointStyle} = chart.data.datasets[key.datasetIndex];
      return pointRadius > 0 ? {...key, fillStyle: borderColor, strokeStyle: borderColor, lineDash: [], pointStyle}
                             : {...key, lineWidth: 3, lineDash: borderDash, pointStyle: 'line'};
    });
  }

  // A click on a key hides or shows all series of its name.
  function toggle(event, key, legend) {
    const {chart} = legend;
    const shown = !chart.isDatasetVisible(key.datasetIndex);
    chart.data.datasets.forEach((dataset, index) => {
      if (dataset.label === key.text) chart.setDatasetVisibility(index, shown);
    });
    chart.update();
  }

  function element(name, text, className = '') {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  // Fills `figure` with the chart; returns what draws it anew, in the colours of then. Charts of one `group`, see newGroup,
  // show one moment.
  function draw(figure, chart, height, group = null) {
    const plot = element('div', '', 'plot');
    const canvas = element('canvas', '');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', [chart.title, chart.subtitle, chart.note].filter(Boolean).join('. '));
    plot.style.height = `${height}px`;
    plot.append(canvas);
    const words = [element('h3', chart.title)];
    if (chart.subtitle) words.push(element('p', chart.subtitle));
    if (chart.note) words.push(element('p', chart.note, 'note'));
    figure.replaceChildren(...words, plot);
    figure.classList.add('live');
    let drawn = new Chart(canvas, configuration(chart, pageColors(), group));
    return {
      redraw() {
        drawn.destroy();
        drawn = new Chart(canvas, configuration(chart, pageColors(), group));
      },
      remove() { drawn.destroy(); },
    };
  }

  function newGroup() {
    return {moment: null, charts: new Set()};
  }

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  return {draw, newGroup};
})();
