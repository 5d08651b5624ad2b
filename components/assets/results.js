// Results: pictures of charts, the slider under what happened over time, and what stays as it was when votes come in.
(() => {
  // Twice the size, so that it is sharp on a slide.
  const SHARP = 2;

  window.pairloopPicture = async (drawing, name) => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawing)}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * SHARP;
    canvas.height = image.naturalHeight * SHARP;
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    const link = document.createElement('a');
    link.href = canvas.toDataURL('image/png');
    link.download = name;
    link.click();
  };

  const plural = (number, one, many) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
  const tell = (slider) => {
    const chart = slider.closest('.pl-over-time');
    const steps = JSON.parse(chart.dataset.steps);
    const [votes, queries, rate, low, high, p] = steps[slider.value - 1];
    const interval = low === null ? '' : ` [${low.toFixed(1)} – ${high.toFixed(1)}]`;
    chart.querySelector('.pl-readout').textContent = `After ${plural(votes, 'vote', 'votes')} on ${
      plural(queries, 'query', 'queries')}: win rate of ${chart.dataset.model} ${rate.toFixed(1)} %${interval}, anytime-valid p ${p}.`;
    const across = 1000 * votes / steps[steps.length - 1][0];
    chart.querySelectorAll('.pl-cursor').forEach((line) => { line.setAttribute('d', `M${across} 0V100`); });
    slider.setAttribute('aria-valuetext', `${votes} votes`);
  };
  document.addEventListener('input', (event) => {
    if (event.target.closest('.pl-scrub')) tell(event.target);
  });
  // Pointing at the drawing, or tapping on it, is the same as moving the slider there.
  const point = (event) => {
    const plot = event.target.closest && event.target.closest('.pl-plot');
    if (!plot) return;
    const chart = plot.closest('.pl-over-time');
    const slider = chart.querySelector('.pl-scrub input');
    const steps = JSON.parse(chart.dataset.steps);
    const box = plot.querySelector('svg').getBoundingClientRect();
    const votes = steps[steps.length - 1][0] * (event.clientX - box.left) / box.width;
    const nearest = steps.findIndex(([number]) => number >= votes);
    slider.value = nearest < 0 ? steps.length : nearest + 1;
    tell(slider);
  };
  document.addEventListener('pointermove', point);
  document.addEventListener('pointerdown', point);

  // New HTML is put over the old: what a person has opened stays open, the slider goes on to the newest vote.
  const opened = new Set();
  const nameOf = (details) => {
    const block = details.closest('[id]');
    return `${block && block.id}: ${details.querySelector('summary').textContent}`;
  };
  document.addEventListener('toggle', (event) => {
    if (!event.target.matches || !event.target.matches('#results-screen details')) return;
    if (event.target.open) opened.add(nameOf(event.target));
    else opened.delete(nameOf(event.target));
  }, true);
  window.pairloopResults = {
    // Called by the blocks of the tab when they have new HTML.
    watch: (element) => {
      const after = () => {
        element.querySelectorAll('details:not([open])').forEach((details) => {
          if (opened.has(nameOf(details))) details.open = true;
        });
        element.querySelectorAll('.pl-over-time').forEach((chart) => {
          if (chart.dataset.shown === chart.dataset.steps) return;
          chart.dataset.shown = chart.dataset.steps;
          chart.querySelector('.pl-scrub input').value = 1e9;
          chart.querySelectorAll('.pl-cursor').forEach((line) => { line.setAttribute('d', ''); });
        });
      };
      new MutationObserver(after).observe(element, {
        childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ['data-steps'],
      });
      after();
    },
  };
})();
