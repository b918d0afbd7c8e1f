'use strict';
console.log(`${require('./store').read().length} orders`);
