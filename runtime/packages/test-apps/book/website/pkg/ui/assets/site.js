document.getElementById("told").textContent = "Told by a script.";
