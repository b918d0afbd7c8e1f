'use strict';
const fs = require('fs');
const file = process.env.SHOP_ORDERS || '/app/data/orders.json';

exports.read = () => (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : []);
exports.add = (order) => {
  const orders = [...exports.read(), order];
  fs.writeFileSync(file, JSON.stringify(orders));
  return orders.length;
};
