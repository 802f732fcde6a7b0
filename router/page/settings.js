// The settings dialog: what is asked of the model, and the key. Settings outlive the page; the key
// lives as long as the tab.

const STORED = 'regatta-settings';
const STORED_KEY = 'regatta-key';
const byId = (id) => document.getElementById(id);

// Storage may be switched off in the browser: then nothing is remembered.
function load(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

function store(storage, name, value) {
  try {
    window[storage].setItem(name, value);
  } catch {
    // As above.
  }
}

function stored() {
  try {
    return JSON.parse(load('localStorage', STORED)) ?? {};
  } catch {
    return {};
  }
}

export class Settings {
  #dialog = byId('settings');
  #fields = {system: byId('system'), temperature: byId('temperature'), max_tokens: byId('max-tokens')};
  #key = byId('key');

  // `changed()` is called when the dialog has been closed.
  constructor(changed) {
    const values = stored();
    for (const [name, field] of Object.entries(this.#fields)) field.value = values[name] ?? '';
    this.#key.value = load('sessionStorage', STORED_KEY) ?? '';
    byId('open-settings').addEventListener('click', () => this.open());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();  // beside the dialog
    });
    this.#dialog.addEventListener('close', () => {
      this.#save();
      changed();
    });
  }

  get key() {
    return this.#key.value.trim();
  }

  get system() {
    return this.#fields.system.value.trim();
  }

  // Fields of a request; what is empty or out of range is left to the server.
  get options() {
    const options = {};
    for (const name of ['temperature', 'max_tokens']) {
      const field = this.#fields[name];
      if (field.value !== '' && field.validity.valid) options[name] = field.valueAsNumber;
    }
    return options;
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  // Opens with the key's field marked: the server has refused the one that is there.
  askForKey() {
    const label = byId('key-label');
    label.classList.add('wanted');
    byId('key-note').textContent = this.key
      ? 'The server refused this key.' : 'The server asks for a key. It is kept in this tab only.';
    this.open();
    this.#key.focus();
  }

  #save() {
    const values = Object.fromEntries(
        Object.entries(this.#fields).map(([name, field]) => [name, field.value]));
    store('localStorage', STORED, JSON.stringify(values));
    store('sessionStorage', STORED_KEY, this.key);
    byId('key-label').classList.remove('wanted');
  }
}
