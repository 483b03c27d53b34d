"""What the page of the routes does when a button is pressed: plain JavaScript, whose hash its policy allows."""

SCRIPT = r"""
for (const box of document.querySelectorAll('.try')) {
  const body = box.querySelector('textarea'), select = box.querySelector('select');
  const mark = box.querySelector('.mark'), answer = box.querySelector('.answer');
  const { method } = box.dataset, file = box.querySelector('input[type=file]');
  const path = () => {
    const query = new URLSearchParams();
    let url = box.dataset.path;
    for (const each of box.querySelectorAll('input[data-in]')) {
      if (each.dataset.in === 'header') continue;
      if (each.dataset.in === 'query') query.set(each.name, each.value);
      else url = url.replace(/{.+}/, encodeURIComponent(each.value));
    }
    return query.size ? `${url}?${query}` : url;
  };
  const stated = () => [...box.querySelectorAll('input[data-in=header]')].filter(each => each.value);
  const key = () => document.querySelector('#key').value.trim();
  const show = (text, note, look) => {
    answer.textContent = text; answer.hidden = text === '';
    mark.textContent = note; mark.className = 'mark ' + look; mark.hidden = note === '';
  };
  const readable = (text, type) => {
    if (!/json/.test(type)) return text;
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  };
  if (select) select.onchange = () => {
    body.value = select.value;
    body.rows = Math.min(select.value.split('\n').length, 24);
    show('', '', '');
  };
  box.querySelector('.send').onclick = async () => {
    const headers = key() ? { Authorization: 'Bearer ' + key() } : {};
    for (const each of stated()) headers[each.name] = each.value;
    if (body) headers['Content-Type'] = 'application/json';
    if (file) headers['Content-Type'] = 'application/octet-stream';
    const sent = file ? file.files[0] : body && body.value.trim() ? body.value : undefined;
    const asked = sent === undefined ? { headers } : { headers, body: sent };
    const begun = performance.now();
    try {
      const response = await fetch(path(), { method, cache: 'no-store', ...asked });
      const text = await response.text(), took = Math.round(performance.now() - begun);
      const type = response.headers.get('Content-Type') || '';
      const look = response.ok ? 'met' : response.status < 500 ? 'failed' : 'broken';
      show(readable(text, type).trim(), `${response.status} ${response.statusText}, ${took} ms`, look);
    } catch (error) { show('', 'no answer: ' + error.message, 'broken'); }
  };
  box.querySelector('.curl').onclick = () => {
    const url = location.origin + path();
    const quoted = body ? "'" + body.value.replaceAll("'", "'\\''") + "'" : '';
    const how = method === 'GET' || method === 'POST' ? '' : ` -X ${method}`;
    const name = file && file.files.length ? file.files[0].name : 'model.ubj';
    const more = stated().map(each => ` -H '${each.name}: ${each.value.replaceAll("'", "'\\''")}'`).join('');
    const who = more + (key() ? ' -H "Authorization: Bearer $KEY"' : '');
    let sent = body && body.value.trim() ? ` -H 'Content-Type: application/json' -d ${quoted}` : '';
    if (file) sent = ` -H 'Content-Type: application/octet-stream' --data-binary '@${name}'`;
    show(`curl -s${how} '${url}'${who}${sent}`, '', '');
  };
}
"""
