export const greet = (name) => `Hello, ${name.normalize('NFD').length}`;
