# SPDX-License-Identifier: GPL-3.0-or-later
"""German, in Blender's own words: a frame is a Bild, buttons and descriptions are infinitives."""

# Labels of buttons.
BUTTONS = {
    "Add Files or Folder": "Dateien oder Ordner hinzufügen",
    "Animation on Network": "Animation im Netzwerk",
    "Cancel All": "Alle abbrechen",
    "Cancel All Jobs of the Farm": "Alle Jobs der Farm abbrechen",
    "Cancel Job": "Job abbrechen",
    "Cancel Transfer": "Übertragung abbrechen",
    "Check Files": "Dateien prüfen",
    "Delete Job from the Farm": "Job von der Farm löschen",
    "Find Master": "Master suchen",
    "Get Animation": "Animation holen",
    "Get Frame": "Bild holen",
    "Hold": "Festhalten",
    "Get JPEGs": "JPEGs holen",
    "Keep Slave from Job": "Slave vom Job ausschließen",
    "Let Slave Have Job Again": "Slave wieder zum Job zulassen",
    "Note": "Hinweis",
    "Open Folder": "Ordner öffnen",
    "Open Master Monitor": "Monitor des Masters öffnen",
    "Pause Job": "Job anhalten",
    "Pause Slave": "Slave anhalten",
    "Remove File": "Datei entfernen",
    "Requeue Failed Frames": "Fehlgeschlagene Bilder erneut einreihen",
    "Resume Job": "Job fortsetzen",
    "Resume Slave": "Slave fortsetzen",
    "Send Anyway": "Trotzdem senden",
    "Send Current Frame": "Aktuelles Bild senden",
    "Send Job": "Job senden",
    "Set Priority": "Priorität setzen",
    "Start Service": "Dienst starten",
    "Starting": "Startet",
    "Stop Service": "Dienst beenden",
    "Stopping": "Wird beendet",
    "Use Master": "Master verwenden",
}  # fmt: skip

WORDS = {
    # Panels, menus and fields
    "Added File": "Hinzugefügte Datei",
    "Address": "Adresse",
    "Broadcast": "Im Netzwerk ankündigen",
    "Cache Limit (GB)": "Cache-Grenze (GB)",
    "Category": "Kategorie",
    "Chunk Size": "Bilder je Portion",
    "Clear on Exit": "Beim Beenden leeren",
    "Device": "Gerät",
    "Directory": "Verzeichnis",
    "Farm Name": "Name der Farm",
    "Files": "Dateien",
    "Finding": "Befund",
    "Frame": "Bild",
    "Frames": "Bilder",
    "Frames per Chunk": "Bilder je Portion",
    "Hang Timeout (s)": "Frist bei Hängern (s)",
    "Host Name": "Hostname",
    "Job Settings": "Job-Einstellungen",
    "Last File": "Letzte Datei",
    "Last Job": "Letzter Job",
    "Log to Console": "Ausgaben in die Konsole",
    "Masters Found": "Gefundene Master",
    "Mode": "Modus",
    "Network": "Netzwerk",
    "Network Render": "Netzwerk-Rendern",
    "Output": "Ausgabe",
    "Path": "Pfad",
    "Priority": "Priorität",
    "Relative Path": "Relativer Pfad",
    "Run Scenes' Scripts": "Skripte der Szenen ausführen",
    "Save Before Sending": "Vor dem Senden speichern",
    "Security": "Sicherheit",
    "Send Anyway": "Trotzdem senden",
    "Sent Along": "Mitgesendet",
    "Settings": "Einstellungen",
    "Simulations": "Simulationen",
    "Slave Timeout (s)": "Frist für Slaves (s)",
    "Split Frames": "Bilder aufteilen",
    "Threads Mode": "Thread-Modus",
    "Timeout": "Frist",
    "Upload Interval (s)": "Sendeintervall (s)",
    "Working Folder": "Arbeitsordner",
    # Choices
    "As many as this machine has": "So viele, wie dieser Rechner hat",
    "A GPU if there is one that Blender can use, else the CPU":
        "Eine GPU, falls Blender eine nutzen kann, sonst die CPU",
    "A number of your own, to leave some for other work": "Eine eigene Anzahl, um andere Arbeit nicht zu behindern",
    "As They Are": "Wie sie sind",
    "Auto-Detect": "Automatische Erkennung",
    "Bake First": "Zuerst backen",
    "Each slave some lines, however many frames and slaves there are":
        "Jeder Slave einige Zeilen, wie viele Bilder und Slaves es auch sind",
    "Every Frame": "Jedes Bild",
    "Every Frame in Tiles": "Jedes Bild in Kacheln",
    "Fixed": "Fest",
    "By samples, however many frames and slaves there are":
        "Nach Abtastwerten, wie viele Bilder und Slaves es auch sind",
    "In Order": "Der Reihe nach",
    "One slave at a time renders the frames one after the other. Slower, and it suits what can't be baked":
        "Ein Slave zur Zeit rendert die Bilder nacheinander. Langsamer, und richtig für das, was nicht gebacken werden "
        "kann",
    "One slave bakes them up to the last frame, then all slaves render from what it baked":
        "Ein Slave backt sie bis zum letzten Bild, dann rendern alle Slaves mit dem Gebackenen",
    "Slaves render the frames in any order. Right where all is baked":
        "Slaves rendern die Bilder in beliebiger Reihenfolge. Richtig, wenn alles gebacken ist",
    "What happens to simulations that are not baked (cloth, soft and rigid bodies, particles, dynamic paint, "
    "simulation zones). Each of their frames follows from the one before":
        "Was mit Simulationen geschieht, die nicht gebacken sind (Stoff, weiche und starre Körper, Partikel, "
        "dynamisches Malen, Simulationszonen). Jedes ihrer Bilder folgt aus dem vorigen",
    "Keep the jobs and hand out work": "Jobs verwahren und Arbeit verteilen",
    "NVIDIA with hardware ray tracing": "NVIDIA mit Raytracing in Hardware",
    "Off": "Aus",
    "Render for a master": "Für einen Master rendern",
    "Render with Cycles": "Mit Cycles rendern",
    "Render with EEVEE": "Mit EEVEE rendern",
    "Render with Workbench": "Mit Workbench rendern",
    "Scene's Own": "Wie in der Szene",
    "Send jobs and pick up frames": "Jobs senden und Bilder abholen",
    "The engine chosen in the scene; Cycles when that is Network Render":
        "Die in der Szene gewählte Engine; Cycles, wenn das Netzwerk-Rendern ist",
    "Warning": "Warnung",
    "While there are fewer frames than slaves to render them: by samples, or in tiles where only those give the same "
    "picture, as with adaptive sampling":
        "Solange es weniger Bilder als Slaves dafür gibt: nach Abtastwerten, oder in Kacheln, wo nur sie dasselbe Bild "
        "ergeben, etwa bei adaptivem Abtasten",
    "Whole frames only": "Nur ganze Bilder",
    # What buttons do
    "Cancel every job of the farm that is not over, those of others too":
        "Jeden nicht abgeschlossenen Job der Farm abbrechen, auch die von anderen",
    "Cancel this job. Frames that are finished can still be picked up":
        "Diesen Job abbrechen. Fertige Bilder können weiterhin abgeholt werden",
    "Download a finished frame as multilayer EXR and show it in an Image Editor":
        "Ein fertiges Bild als Multilayer-EXR herunterladen und in einem Bildeditor zeigen",
    "Download the finished frames as JPEGs, which is quick: nothing else is moved":
        "Die fertigen Bilder als JPEGs herunterladen. Das geht schnell, denn sonst wird nichts übertragen",
    "Get every finished frame, compose it, and write it to the output path in the scene's format. Overwrite and "
    "Placeholders in Output Properties are respected, so that what broke off can be continued":
        "Jedes fertige Bild holen, den Compositor anwenden und im Format der Szene in den Ausgabepfad schreiben. "
        "Überschreiben und Platzhalter der Ausgabeeigenschaften werden beachtet, sodass Abgebrochenes fortgesetzt "
        "werden kann",
    "Give this slave no new work. What it renders now is finished":
        "Diesem Slave keine neue Arbeit geben. Was er gerade rendert, stellt er fertig",
    "Give this slave work again": "Diesem Slave wieder Arbeit geben",
    "Go on with this job": "Mit diesem Job weitermachen",
    "Hand out no more frames of this job. What slaves render now is finished":
        "Keine Bilder dieses Jobs mehr verteilen. Was Slaves gerade rendern, wird fertiggestellt",
    "Keep jobs and hand out work from this Blender. You can go on working meanwhile":
        "In diesem Blender Jobs verwahren und Arbeit verteilen. Währenddessen kann weitergearbeitet werden",
    "Keep this slave from the selected job. The frame it renders of it goes to others":
        "Diesen Slave vom gewählten Job ausschließen. Das Bild, das er davon rendert, geht an andere",
    "Let this slave render the selected job again": "Diesen Slave den gewählten Job wieder rendern lassen",
    "List every file the scene needs and what would go wrong, without sending anything":
        "Alle Dateien auflisten, welche die Szene braucht, und was schiefgehen würde, ohne etwas zu senden",
    "Listen for masters on the local network and fill in the address; choose when there are several":
        "Im lokalen Netzwerk nach Mastern horchen und die Adresse eintragen; bei mehreren wird gefragt",
    "Open the folder where frames of this job were put": "Den Ordner öffnen, in dem Bilder dieses Jobs abgelegt wurden",
    "Open the master's own page in a web browser: every job, slave and frame, live":
        "Die Seite des Masters im Webbrowser öffnen: alle Jobs, Slaves und Bilder, live",
    "Part of Network Render: allows scripts to write again":
        "Teil von Netzwerk-Rendern: erlaubt Skripten wieder das Schreiben",
    "Remove this job from the farm, with its files and all its frames. What was picked up stays":
        "Diesen Job mit seinen Dateien und allen Bildern von der Farm entfernen. Was abgeholt wurde, bleibt",
    "Render for the farm in the background, in Blender processes of their own":
        "Im Hintergrund für die Farm rendern, in eigenen Blender-Prozessen",
    "Say how soon this job gets its turn": "Bestimmen, wie bald dieser Job an die Reihe kommt",
    "Say something in the status bar": "Etwas in der Statusleiste melden",
    "Send files along that Blender does not know of. Without a chosen file: the whole folder":
        "Dateien mitsenden, von denen Blender nichts weiß. Ohne gewählte Datei: der ganze Ordner",
    "Send the current frame to the farm with every file it needs. ESC stops sending":
        "Das aktuelle Bild mit allen nötigen Dateien an die Farm senden. ESC bricht das Senden ab",
    "Send the scene's frames and show each as it comes, then compose and write it as the scene says. ESC in the "
    "render window cancels the job":
        "Die Bilder der Szene senden und jedes zeigen, sobald es kommt, dann wie in der Szene eingestellt den "
        "Compositor anwenden und schreiben. ESC im Renderfenster bricht den Job ab",
    "Send the scene's frames to the farm with every file it needs. ESC stops sending":
        "Die Bilder der Szene mit allen nötigen Dateien an die Farm senden. ESC bricht das Senden ab",
    "Stop handing out work. Jobs and frames are kept, unless Clear on Exit is on":
        "Keine Arbeit mehr verteilen. Jobs und Bilder bleiben erhalten, außer wenn „Beim Beenden leeren“ aktiv ist",
    "Stop rendering for the farm. The frame under way goes back to the queue":
        "Nicht mehr für die Farm rendern. Das angefangene Bild geht zurück in die Warteschlange",
    "Stop this transfer. What the farm has already is not sent again next time":
        "Diese Übertragung abbrechen. Was die Farm schon hat, wird beim nächsten Mal nicht erneut gesendet",
    "Take the selected file or folder off the list": "Die gewählte Datei oder den Ordner aus der Liste nehmen",
    "Try the frames again that failed or were canceled": "Fehlgeschlagene oder abgebrochene Bilder erneut versuchen",
    "Use this master": "Diesen Master verwenden",
    # What fields are for
    "A file, or a folder with all that is in it": "Eine Datei oder ein Ordner mit allem darin",
    "A rendering Blender that prints nothing and uses no processor time for this long is killed and the frame tried "
    "again. 0: never":
        "Ein renderndes Blender, das so lange nichts ausgibt und keine Prozessorzeit verbraucht, wird abgebrochen und "
        "das Bild erneut versucht. 0: nie",
    "Address to listen on. Empty: every network interface of this machine":
        "Adresse, auf der gehorcht wird. Leer: alle Netzwerkschnittstellen dieses Rechners",
    "Also save the .blend file itself. Off: a copy of the open scene is sent and your file stays as it is":
        "Auch die .blend-Datei selbst speichern. Aus: eine Kopie der offenen Szene wird gesendet, die Datei bleibt, "
        "wie sie ist",
    "Cache of files that jobs need, made if missing. Empty: the default from the preferences":
        "Cache für Dateien, die Jobs brauchen; wird bei Bedarf angelegt. Leer: der Standard aus den "
        "Benutzereinstellungen",
    "Frame number. Not given: the scene's current frame": "Nummer des Bildes. Ohne Angabe: das aktuelle Bild der Szene",
    "Frames a slave takes at a time. Larger chunks suit frames that render fast":
        "Bilder, die ein Slave auf einmal nimmt. Größere Portionen passen zu schnell gerenderten Bildern",
    "Frames to render, such as 1-10,15,20-30x2. Empty: the scene's own range and step":
        "Zu rendernde Bilder, etwa 1-10,15,20-30x2. Leer: Bereich und Schrittweite der Szene",
    "Higher goes first": "Höhere kommt zuerst",
    "Host, host:port or URL of the master. Empty: this machine's default, else the first master heard":
        "Host, Host:Port oder URL des Masters. Leer: der Standard dieses Rechners, sonst der erste gehörte Master",
    "How long samples of a frame that slaves render together may take before they are sent: a crash costs no more":
        "Wie lange Abtastwerte eines gemeinsam gerenderten Bildes dauern sollen, bevor sie gesendet werden: mehr "
        "kostet ein Absturz nicht",
    "How many threads rendering may use": "Wie viele Threads das Rendern nutzen darf",
    "How much disk the files kept for jobs may take; the least recently used go first":
        "Wie viel Platz die für Jobs behaltenen Dateien belegen dürfen; die am längsten nicht benutzten gehen zuerst",
    "How much of it is on the farm": "Wie viel davon auf der Farm ist",
    "How much of the frame is done": "Wie viel vom Bild fertig ist",
    "Jobs of the same category share the farm fairly with other categories":
        "Jobs derselben Kategorie teilen sich die Farm gerecht mit anderen Kategorien",
    "Keep the place relative to the .blend file": "Den Ort relativ zur .blend-Datei merken",
    "Let slaves run the Python that scenes bring along (drivers, registered texts), for jobs that need it. Such a "
    "script can do on a slave whatever the slave's user can":
        "Slaves das Python ausführen lassen, das Szenen mitbringen (Treiber, registrierte Texte), für Jobs, die es "
        "brauchen. So ein Skript darf auf einem Slave alles, was dessen Benutzer darf",
    "Masters and slaves of this machine keep their files in folders below this one. Empty: a folder of your user "
    "account":
        "Master und Slaves dieses Rechners legen ihre Dateien in Ordnern unter diesem ab. Leer: ein Ordner des "
        "Benutzerkontos",
    "Name of the job. Empty: the name of the .blend file": "Name des Jobs. Leer: der Name der .blend-Datei",
    "Number of the job sent last": "Nummer des zuletzt gesendeten Jobs",
    "Number of the job. Not given: the job sent last": "Nummer des Jobs. Ohne Angabe: der zuletzt gesendete",
    "Number of the job. Not given: the one selected in the list, else the job sent last":
        "Nummer des Jobs. Ohne Angabe: der in der Liste gewählte, sonst der zuletzt gesendete",
    "Number of the slave. Not given: the one selected in the list":
        "Nummer des Slaves. Ohne Angabe: der in der Liste gewählte",
    "Of the selected job. Higher goes first": "Des gewählten Jobs. Höhere kommt zuerst",
    "Only slaves with all of these tags render the job, separated by commas":
        "Nur Slaves mit all diesen Tags rendern den Job, durch Kommas getrennt",
    "Port the master listens on": "Port, auf dem der Master horcht",
    "Print what the rendering Blenders say to this Blender's console":
        "Ausgaben der rendernden Blender in die Konsole dieses Blenders schreiben",
    "Remove all jobs and frames when the service stops": "Alle Jobs und Bilder entfernen, wenn der Dienst endet",
    "Remove the files of jobs when the service stops. Frames the master does not have yet stay":
        "Die Dateien von Jobs entfernen, wenn der Dienst endet. Bilder, die der Master noch nicht hat, bleiben",
    "Render engine that the slaves use": "Renderengine, welche die Slaves verwenden",
    "Seconds to listen": "Sekunden, die gehorcht wird",
    "Seconds without a sign of life after which a slave's frames go to others":
        "Sekunden ohne Lebenszeichen, nach denen die Bilder eines Slaves an andere gehen",
    "Send although files are missing or something else would go wrong":
        "Senden, obwohl Dateien fehlen oder etwas anderes schiefgehen würde",
    "Shown in slave lists. Empty: the name of this machine":
        "Wird in Slave-Listen gezeigt. Leer: der Name dieses Rechners",
    "Shown where masters are chosen. Empty: the name of this machine":
        "Wird bei der Wahl eines Masters gezeigt. Leer: der Name dieses Rechners",
    "Tell the local network about this master, so that it is found":
        "Diesen Master im lokalen Netzwerk bekannt machen, damit er gefunden wird",
    "The frame picked up last": "Das zuletzt abgeholte Bild",
    "The master used when a scene names none. Empty: the first one heard":
        "Der Master, wenn eine Szene keinen nennt. Leer: der erste gehörte",
    "Threads rendering may use": "Threads, die das Rendern nutzen darf",
    "What Cycles computes with": "Womit Cycles rechnet",
    "What this Blender is to the render farm": "Was dieses Blender für die Renderfarm ist",
    "What this slave offers, separated by commas, such as: gpu, big":
        "Was dieser Slave bietet, durch Kommas getrennt, etwa: gpu, big",
    "Where jobs and frames are kept, made if missing. Empty: the default from the preferences":
        "Wo Jobs und Bilder liegen; wird bei Bedarf angelegt. Leer: der Standard aus den Benutzereinstellungen",
    "Where they go. Not given: a folder for the job beside the scene's output":
        "Wohin sie kommen. Ohne Angabe: ein Ordner für den Job neben der Ausgabe der Szene",
    "Where to keep the file. Not given: a folder that goes when Blender quits":
        "Wo die Datei liegen soll. Ohne Angabe: ein Ordner, der mit dem Ende von Blender verschwindet",
    "Whether several slaves render one frame together, each some of its samples or its lines. The result is what one "
    "machine would have made, to float rounding. Scenes it does not suit are rendered in whole frames":
        "Ob mehrere Slaves ein Bild gemeinsam rendern, jeder einen Teil der Abtastwerte oder der Zeilen. Das Ergebnis "
        "ist bis auf Rundung das eines einzelnen Rechners. Szenen, für die es nicht taugt, werden in ganzen Bildern "
        "gerendert",
    # What fields mean that are left empty
    "All interfaces": "Alle Schnittstellen",
    "The first one heard": "Der erste gehörte",
    "The scene's range": "Der Bereich der Szene",
    "This machine's name": "Der Name dieses Rechners",
    # How it stands
    "Allow Online Access is off: press the arrows or type an address":
        "Der Online-Zugriff ist nicht erlaubt: die Pfeile drücken oder eine Adresse eingeben",
    "Blender {}, {} threads, {}": "Blender {}, {} Threads, {}",
    "Canceled": "Abgebrochen",
    "Checking Files": "Dateien werden geprüft",
    "Connected to {}, 1 slave": "Verbunden mit {}, 1 Slave",
    "Connected to {}, waiting for work": "Verbunden mit {}, wartet auf Arbeit",
    "Connected to {}, {} slaves": "Verbunden mit {}, {} Slaves",
    "Connection to {} lost, trying again": "Verbindung zu {} verloren, wird erneut versucht",
    "Failed": "Fehlgeschlagen",
    "Finished": "Fertig",
    "Frame {} on {}: {}": "Bild {} auf {}: {}",
    "Frame {}, {} of {} lines": "Bild {}, {} von {} Zeilen",
    "Frame {}, {} of {} samples": "Bild {}, {} von {} Abtastwerten",
    "Frame {}: {}": "Bild {}: {}",
    "Frames {}: {} of {} done": "Bilder {}: {} von {} fertig",
    "Getting Frame": "Bild wird geholt",
    "Getting JPEGs": "JPEGs werden geholt",
    "Job sent: number {}": "Job gesendet: Nummer {}",
    "Job {}, frame {}": "Job {}, Bild {}",
    "Jobs: {}. Slaves: {}, {} rendering": "Jobs: {}. Slaves: {}, davon {} am Rendern",
    "Kept from job {}": "Von Job {} ausgeschlossen",
    "Listening on {}": "Horcht auf {}",
    "Listing the scene's files": "Dateien der Szene werden aufgelistet",
    "Looking at the files": "Dateien werden angesehen",
    "Looking at the job": "Job wird angesehen",
    "Looking for a master": "Ein Master wird gesucht",
    "Looking for the master": "Der Master wird gesucht",
    "Lost: not heard of for longer than the slave timeout": "Verloren: länger als die Frist für Slaves nichts gehört",
    "No job is selected": "Kein Job ist gewählt",
    "No jobs yet": "Noch keine Jobs",
    "No jobs yet: press Send Job": "Noch keine Jobs: „Job senden“ drücken",
    "No slaves yet: start one on a spare machine": "Noch keine Slaves: einen auf einem freien Rechner starten",
    "Not connected": "Nicht verbunden",
    "Not running": "Läuft nicht",
    "Not sent: {} would go wrong, see Files below":
        "Nicht gesendet: {} Dinge würden schiefgehen, siehe unten bei Dateien",
    "Nothing is missing": "Nichts fehlt",
    "Paused": "Angehalten",
    "Paused: gets no work": "Angehalten: bekommt keine Arbeit",
    "Baking": "Am Backen",
    "Queued": "Wartend",
    "Queueing": "Wird eingereiht",
    "Ready": "Bereit",
    "Receiving": "Empfangen",
    "Rendered {}, failed {}": "Gerendert: {}, fehlgeschlagen: {}",
    "Rendering": "Am Rendern",
    "Rendering for {}": "Rendert für {}",
    "Sending": "Senden",
    "Starting": "Startet",
    "Stopped": "Beendet",
    "Stopping": "Wird beendet",
    "none": "keine",
    "{} failed": "{} fehlgeschlagen",
    "{} files, {}": "{} Dateien, {}",
    "{} in job {}": "{} in Job {}",
    "{} left": "noch {}",
    "{} of their time spent rendering": "{} ihrer Zeit mit Rendern verbracht",
    "{} lines a frame": "{} Zeilen je Bild",
    "{} of {}": "{} von {}",
    "{} rendering": "{} am Rendern",
    "{} samples a frame": "{} Abtastwerte je Bild",
    "1 slave": "1 Slave",
    "{} slaves": "{} Slaves",
    "{} were new": "{} waren neu",
    # What happened, and why something cannot be done
    "A job is being sent or checked already": "Ein Job wird schon gesendet oder geprüft",
    "All jobs are over": "Alle Jobs sind abgeschlossen",
    "Blender is rendering": "Blender rendert gerade",
    "Found master {}: {}": "Master {} gefunden: {}",
    "Frame picked up: {}": "Bild abgeholt: {}",
    "Job {} ({}) failed: {} of {} frames": "Job {} ({}) ist fehlgeschlagen: {} von {} Bildern",
    "Job {} ({}) is finished: {} frames": "Job {} ({}) ist fertig: {} Bilder",
    "Job {} does not wait or render now": "Job {} wartet oder rendert gerade nicht",
    "Job {} is not paused": "Job {} ist nicht angehalten",
    "Job {} is over already": "Job {} ist schon abgeschlossen",
    "No frame of job {} failed": "Kein Bild von Job {} ist fehlgeschlagen",
    "No frame of job {} is finished yet": "Von Job {} ist noch kein Bild fertig",
    "No frame of job {} was picked up yet": "Von Job {} wurde noch kein Bild abgeholt",
    "No frame of job {} was picked up yet. Press Get Frame":
        "Von Job {} wurde noch kein Bild abgeholt. „Bild holen“ drücken",
    "No job is selected, and none was sent from this Blender yet. Give the number of the job":
        "Kein Job ist gewählt, und von diesem Blender wurde noch keiner gesendet. Die Nummer des Jobs angeben",
    "No job was sent from this Blender yet. Give the number of the job to get":
        "Von diesem Blender wurde noch kein Job gesendet. Die Nummer des Jobs angeben, der geholt werden soll",
    "No master heard. Start one, or type its address if it is in another network":
        "Kein Master war zu hören. Einen starten oder, wenn er in einem anderen Netzwerk ist, seine Adresse eingeben",
    "No slave is selected. Give the number of the slave": "Kein Slave ist gewählt. Die Nummer des Slaves angeben",
    "Not connected to a master": "Nicht mit einem Master verbunden",
    "Press Start Service in Render Properties > Network Render. Rendering with this engine runs a service only "
    "without a window: blender -b FILE.blend -a":
        "„Dienst starten“ in Rendereigenschaften > Netzwerk-Rendern drücken. Rendern mit dieser Engine führt nur ohne "
        "Fenster einen Dienst aus: blender -b DATEI.blend -a",
    "Save the .blend file first: the farm needs its place to find textures and libraries":
        "Zuerst die .blend-Datei speichern: die Farm braucht ihren Ort, um Texturen und Bibliotheken zu finden",
    "Scene '{}' has no camera to render from. Add one": "Szene „{}“ hat keine Kamera zum Rendern. Eine hinzufügen",
    "Select a job first": "Zuerst einen Job wählen",
    "Select a job in the list above first": "Zuerst in der Liste oben einen Job wählen",
    "Select a slave first": "Zuerst einen Slave wählen",
    "Several masters heard, set one as the address: {}": "Mehrere Master gehört, einen als Adresse eintragen: {}",
    "The frame range {} to {} is empty. Set it in Output > Frame Range":
        "Der Bildbereich {} bis {} ist leer. Unter Ausgabe > Bildbereich einstellen",
    "The master in this Blender is not running": "Der Master in diesem Blender läuft nicht",
    "The master in this Blender is not running. Press Start Service":
        "Der Master in diesem Blender läuft nicht. „Dienst starten“ drücken",
    "The {} is not running": "Der {} läuft nicht",
    "The {} is running already": "Der {} läuft schon",
    "These frames have gaps and cannot go into one movie. Choose an image format in Output > File Format":
        "Diese Bilder haben Lücken und passen nicht in einen Film. Unter Ausgabe > Dateiformat ein Bildformat wählen",
    "This frame is not finished yet": "Dieses Bild ist noch nicht fertig",
    "master": "Master",
    "slave": "Slave",
    "{} files, 1 problem": "{} Dateien, 1 Problem",
    "{} files, nothing is missing": "{} Dateien, nichts fehlt",
    "{} files, {} problems": "{} Dateien, {} Probleme",
    "{} files; frames may differ from those that this Blender renders, see Files": (
        "{} Dateien; Bilder können anders aussehen, als dieses Blender sie rendert, siehe Dateien"
    ),
    "Frames of job {} may differ from those that this Blender renders, see Files": (
        "Bilder von Job {} können anders aussehen, als dieses Blender sie rendert, siehe Dateien"
    ),
    "Frames may differ from those that this Blender renders": (
        "Bilder können anders aussehen, als dieses Blender sie rendert"
    ),
    "Frames may differ from those that the artist's Blender renders:": (
        "Bilder können anders aussehen, als das Blender des Künstlers sie rendert:"
    ),
    "and {} more, see the monitor": "und {} weitere, siehe Monitor",
    "{} is not paused": "{} ist nicht angehalten",
    "{} is not there now": "{} ist gerade nicht da",
    "{} is paused already": "{} ist schon angehalten",
    "{} started": "{} gestartet",
    "{} stopped": "{} beendet",
    # In the render window
    ". ESC stops": ". ESC beendet",
    ". Requeue it to go on, ESC stops": ". Neu einreihen, um weiterzumachen; ESC beendet",
    "Frame {} of job {} did not come": "Bild {} des Jobs {} kam nicht",
    "Frame {} of job {} failed: {}": "Bild {} des Jobs {} ist fehlgeschlagen: {}",
    "Getting the frame": "Das Bild wird geholt",
    "Getting the picture so far": "Das bisherige Bild wird geholt",
    "Job {} was canceled": "Job {} wurde abgebrochen",
    "Job {}, frame {}: {}": "Job {}, Bild {}: {}",
    "Not sent: {} would go wrong, see Network Render > Files, and Send Anyway there":
        "Nicht gesendet: {} würde(n) schiefgehen, siehe Netzwerk-Rendern > Dateien und dort Trotzdem senden",
    "Saving a copy of the scene": "Eine Kopie der Szene wird gespeichert",
    "View layer {} is not there in each view": "Der View-Layer {} ist nicht in jeder Ansicht da",
    "The film of frame {} does not fit this scene's resolution. Open the scene as it was sent":
        "Der Film von Bild {} passt nicht zur Auflösung dieser Szene. Die Szene öffnen, wie sie gesendet wurde",
    "Getting the files of File Output nodes": "Dateien der Dateiausgabe-Nodes werden geholt",
    "The files of File Output nodes for frame {} did not come":
        "Die Dateien der Dateiausgabe-Nodes von Bild {} kamen nicht",
    "This scene has no File Output node '{}'. Its files: netrender get {} --what outputs":
        "Diese Szene hat keinen Dateiausgabe-Node '{}'. Seine Dateien: netrender get {} --what outputs",
    "Scene '{}' is made of other scenes, and their layers are not in its film. Choose another format than "
    "multilayer EXR in Output > File Format, or get the films with Get Frame":
        "Szene '{}' besteht aus anderen Szenen, deren Layer nicht in ihrem Film sind. Unter Ausgabe > Dateiformat ein "
        "anderes Format als Multilayer-EXR wählen oder die Filme mit Bild holen abrufen",
    "The scene was not sent": "Die Szene wurde nicht gesendet",
    "all of it is there, denoising and compositing": "alles ist da, Entrauschen und Compositing",
    "no slave could render it": "kein Slave konnte es rendern",
    "the job is paused": "der Job ist pausiert",
    "waits for a slave": "wartet auf einen Slave",
    "{} of {} lines, 1 slave": "{} von {} Zeilen, 1 Slave",
    "{} of {} lines, {} slaves": "{} von {} Zeilen, {} Slaves",
    "{} of {} samples, 1 slave": "{} von {} Samples, 1 Slave",
    "{} of {} samples, {} slaves": "{} von {} Samples, {} Slaves",
    "{} renders it": "{} rendert es",
    "{}. ESC cancels": "{}. ESC bricht ab",
    "{}. Trying again, ESC stops": "{}. Neuer Versuch, ESC beendet",
    "{}: {:.1f} of {:.1f} MB": "{}: {:.1f} von {:.1f} MB",
}  # fmt: skip
