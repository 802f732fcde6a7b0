// The conversation: turns as they are shown and as they are sent. All text is set as text.
import {formatRate, formatTime} from './speed.js';

function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const ENDINGS = {stop: '', length: 'length limit', stopped: 'stopped', tool_calls: 'tool call'};

// An answer that is being written.
class Answer {
  text = '';
  #turn = make('li', 'turn assistant');
  #body = make('div', 'text');
  #figures = make('p', 'figures');
  #waiting = '';   // text that the next frame shows
  #speed = null;
  #conversation;   // messages of the one that it belongs to

  constructor(list, conversation) {
    this.#conversation = conversation;
    this.#turn.classList.add('writing');
    this.#turn.setAttribute('aria-busy', 'true');
    this.#turn.append(this.#body, this.#figures);
    list.append(this.#turn);
  }

  get shown() {
    return this.#turn;
  }

  // Many tokens come between two frames: they are shown together.
  append(text, speed) {
    this.text += text;
    if (!this.#waiting && !this.#speed) requestAnimationFrame(() => this.#paint());
    this.#waiting += text;
    this.#speed = speed;
  }

  // `ending`: a finish reason, or 'stopped'. What has been written of it, whole or not, becomes part
  // of what the model is shown, unless that conversation is over.
  end(ending) {
    this.#paint(ENDINGS[ending] ?? ending);
    this.#finish();
    this.#conversation.push({role: 'assistant', content: this.text});
  }

  // Shows why there is no more; `again()` is called when the user wants another try.
  fail(message, again) {
    this.#paint();
    this.#finish();
    const problem = make('p', 'problem', message);
    problem.setAttribute('role', 'alert');
    const button = make('button', 'again', 'Try again');
    button.type = 'button';
    button.addEventListener('click', again);
    this.#turn.append(problem, button);
  }

  remove() {
    this.#turn.remove();
  }

  #finish() {
    this.#turn.classList.remove('writing');
    this.#turn.removeAttribute('aria-busy');
  }

  #paint(ending = '') {
    if (this.#waiting) this.#body.append(this.#waiting);
    this.#waiting = '';
    if (this.#speed) this.#showSpeed(this.#speed);
    this.#speed = null;
    if (ending) this.#figures.append(make('span', 'ending', ending));
  }

  #showSpeed(speed) {
    const figure = (name, value) => {
      const element = make('span', 'figure', name ? `${name} ` : '');
      element.append(make('b', '', value[0]), value[1]);
      return element;
    };
    const [time, unit] = speed.ttft === null ? ['–', ''] : formatTime(speed.ttft).split(' ');
    const rate = speed.rate === null ? '–' : formatRate(speed.rate);
    this.#figures.replaceChildren(
        figure('TTFT', [time, ` ${unit}`]), figure('', [rate, ' tok/s']),
        figure('', [String(speed.tokens), speed.tokens === 1 ? ' token' : ' tokens']));
  }
}

export class Conversation {
  #list;
  #messages = [];  // {role, content}

  constructor(list) {
    this.#list = list;
  }

  get messages() {
    return this.#messages;
  }

  // Answers that are being written end with the old conversation's messages.
  clear() {
    this.#messages = [];
    this.#list.replaceChildren();
  }

  // A turn before it that got no answer stays to be read alone: templates refuse two turns in a row.
  addUser(content) {
    if (this.#messages.at(-1)?.role === 'user') this.#messages.pop();
    for (const button of this.#list.querySelectorAll('.again')) button.remove();
    this.#messages.push({role: 'user', content});
    const turn = make('li', 'turn user');
    turn.append(make('div', 'text', content));
    this.#list.append(turn);
  }

  beginAnswer() {
    return new Answer(this.#list, this.#messages);
  }
}
