document.title += " ("+ document.querySelectorAll("li").length + ")";
