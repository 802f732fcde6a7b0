'use strict';
// Puts interactive charts in place of the drawn ones, and the course of the chosen point.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const phone = matchMedia('(max-width: 600px)').matches;
  const drawn = [];
  let course = [];

  for (const figure of document.querySelectorAll('figure[data-chart]')) {
    const chart = data.charts[figure.dataset.chart];
    drawn.push(charts.draw(figure, chart, Math.min(chart.height * 0.9, phone ? 320 : 420)));
  }

  function showCourse(index) {
    course.forEach(chart => chart.remove());
    const place = document.getElementById('course-charts');
    place.replaceChildren();
    const group = charts.newGroup();
    course = data.courses[index].charts.filter(chart => chart.series.length > 0).map(chart => {
      const figure = document.createElement('figure');
      figure.className = 'chart';
      place.append(figure);
      return charts.draw(figure, chart, 220, group);
    });
  }

  if (data.courses.length > 0) {
    const choice = document.getElementById('course');
    choice.append(...data.courses.map(({name}, index) => new Option(name, index)));
    choice.value = data.courses.length - 1;
    choice.addEventListener('change', () => showCourse(choice.value));
    document.getElementById('courses').hidden = false;
    showCourse(choice.value);
  }

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => [...drawn, ...course].forEach(chart => chart.redraw()));
})();
