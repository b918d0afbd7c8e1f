document.title += " !";
