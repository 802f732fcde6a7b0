// The chat page: wires the parts together.
import {Api, ApiError} from './api.js';
import {Conversation} from './conversation.js';
import {Load} from './load.js';
import {Settings} from './settings.js';
import {Speed} from './speed.js';

const byId = (id) => document.getElementById(id);
const input = byId('input');
const model = byId('model');
const scroller = byId('scroller');

const api = new Api();
const conversation = new Conversation(byId('turns'));
const settings = new Settings(useSettings);
const load = new Load(api, showLoad);
let lengths = new Map();  // model -> tokens of its context
let writing = null;       // AbortController of the answer that is being written

function useSettings() {
  if (settings.key !== api.key) {
    api.key = settings.key;
    load.forget();
    listModels();
  }
  input.focus();
}

function showLoad(state, values) {
  byId('state').dataset.state = state;
  byId('state-text').textContent =
      {ready: 'ready', busy: 'not serving', gone: 'unreachable'}[state];
  byId('load').hidden = values === null;
  for (const [name, value] of Object.entries(values ?? {})) byId(`load-${name}`).textContent = value;
  if (state === 'ready' && (model.disabled || !lengths.get(model.value))) listModels();
}

// Fills the list of models; asks for a key where the server wants one.
async function listModels() {
  try {
    const models = await api.models();
    const chosen = model.value;
    lengths = new Map(models.map((entry) => [entry.id, entry.max_model_len]));
    model.replaceChildren(...models.map((entry) => new Option(entry.id)));
    if (lengths.has(chosen)) model.value = chosen;
    model.disabled = false;
    showModel();
  } catch (error) {
    if (error.status === 401) settings.askForKey();
  }
}

function showModel() {
  const length = lengths.get(model.value);
  byId('welcome-model').textContent = model.value;
  byId('welcome-facts').textContent =
      length ? `A context of ${length.toLocaleString('en')} tokens.` : '';
  const note = byId('note');
  note.hidden = !api.completes(model.value);
  note.textContent = 'This model has no chat template: it continues the text of each message.';
  byId('system').disabled = api.completes(model.value);
}

function setWriting(controller) {
  writing = controller;
  byId('send').hidden = controller !== null;
  byId('stop').hidden = controller === null;
}

// Follows the text as it grows, unless the reader has scrolled away from its end.
function followText(shown) {
  let follows = true;
  scroller.addEventListener('scroll', () => {
    follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  });
  new ResizeObserver(() => {
    if (follows) scroller.scrollTop = scroller.scrollHeight;
  }).observe(shown);
}

// Shows the chunks of the answer to all that has been said; its finish reason.
async function write(answer, signal) {
  const speed = new Speed(performance.now());
  const system = settings.system ? [{role: 'system', content: settings.system}] : [];
  const messages = [...system, ...conversation.messages];
  let finish;
  for await (const chunk of api.answer(model.value, messages, settings.options, signal)) {
    const tokens = chunk.tokens ?? speed.tokens + (chunk.text ? 1 : 0);
    if (tokens > speed.tokens) speed.add(tokens, performance.now());
    answer.append(chunk.text, speed);
    finish = chunk.finish ?? finish;
  }
  return finish;
}

async function answerNow() {
  const controller = new AbortController();
  const answer = conversation.beginAnswer();
  setWriting(controller);
  try {
    answer.end(await write(answer, controller.signal));
  } catch (error) {
    if (error.name === 'AbortError') {
      answer.end('stopped');
    } else {
      answer.fail(error.message, () => {
        answer.remove();
        answerNow();
      });
      if (!(error instanceof ApiError)) throw error;  // Ours: the console has the whole of it.
      if (error.status === 401) settings.askForKey();
    }
  } finally {
    if (writing === controller) setWriting(null);  // else a new chat has begun
    showModel();
  }
}

function send() {
  const text = input.value.trim();
  if (!text || writing || model.disabled) return;
  input.value = '';
  fitInput();
  byId('welcome').hidden = true;
  conversation.addUser(text);
  scroller.scrollTop = scroller.scrollHeight;
  answerNow();
}

function startAfresh() {
  writing?.abort();
  setWriting(null);
  conversation.clear();
  byId('welcome').hidden = false;
  input.focus();
}

function fitInput() {
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight}px`;
}

byId('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
input.addEventListener('input', fitInput);
input.addEventListener('keydown', (event) => {
  // While an input method composes, Enter belongs to it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !byId('settings').open) writing?.abort();
});
byId('stop').addEventListener('click', () => {
  writing?.abort();
  input.focus();
});
byId('fresh').addEventListener('click', startAfresh);
model.addEventListener('change', showModel);

api.key = settings.key;
followText(byId('turns'));
listModels();
load.watch();
