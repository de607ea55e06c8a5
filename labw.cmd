@echo off
rem labw.cmd: what labw is, for Windows: a pinned uv, the locked environment, then `lab ARGS`.
rem Not run by the tests, which need POSIX; kept to the few lines that cmd.exe does reliably.
rem Settings: LAB_HOME (where it is kept; default %LOCALAPPDATA%\lab), LAB_PYTHON (which interpreter).
setlocal EnableExtensions DisableDelayedExpansion
rem no program of the current folder runs, which may be a stranger's
set "NoDefaultCurrentDirectoryInExePath=1"
set "ROOT=%~dp0"
rem what is said to Python is said to the person's own programs
for /f "delims==" %%n in ('set PYTHON 2^>nul') do if /i not "%%n"=="PYTHONIOENCODING" if /i not "%%n"=="PYTHONUTF8" set "%%n="
rem what ends Python before lab can say so
if defined PYTHONUTF8 if not "%PYTHONUTF8%"=="0" if not "%PYTHONUTF8%"=="1" (
    echo labw: PYTHONUTF8 is ignored: Python takes 0 or 1 1>&2
    set "PYTHONUTF8="
)
rem compiled once, not at every start
if not defined LAB_HOME if not defined LOCALAPPDATA (
    echo labw: error: neither LAB_HOME nor LOCALAPPDATA is set 1>&2
    echo   fix: set LAB_HOME to a writable directory 1>&2
    exit /b 4
)
if defined LAB_HOME (set "KEPT=%LAB_HOME%\cache\labw") else (set "KEPT=%LOCALAPPDATA%\lab\labw")
for %%k in ("%KEPT%") do set "KEPT=%%~fk"
set "PYTHONPYCACHEPREFIX=%KEPT%\pycache"
if not exist "%KEPT%" mkdir "%KEPT%"
if not exist "%KEPT%" (
    echo labw: error: cannot write to %KEPT% 1>&2
    echo   fix: set LAB_HOME to a writable directory 1>&2
    exit /b 4
)

set "LOCK=run"
if /i "%~1"=="test" set "LOCK=dev"
if /i "%~1"=="python" set "LOCK=dev"
set "ENV=%KEPT%\env-%LOCK%"

rem The environment holds copies of the locks it was made from, written last: equal copies mean nothing to do.
if not exist "%ENV%\%LOCK%.txt" goto make
fc /b "%ROOT%requirements\%LOCK%.txt" "%ENV%\%LOCK%.txt" >nul 2>&1 || goto make
fc /b "%ROOT%requirements\uv.txt" "%ENV%\uv.txt" >nul 2>&1 || goto make
if exist "%ENV%\Scripts\python.exe" goto run

:make
set "PY=py -3"
where py >nul 2>&1 || set "PY=python"
echo labw: fetching uv and installing requirements\%LOCK%.txt (once) 1>&2
rem pip and uv start in a folder of ours, with what the person says of indexes and nothing else (installers.py)
pushd "%KEPT%"
set "READ=%PY% -I "%ROOT%lab\system\installers.py" set "%KEPT%""
if not exist "%KEPT%\uv\bin\uv.exe" goto fetch
fc /b "%ROOT%requirements\uv.txt" "%KEPT%\uv\uv.txt" >nul 2>&1 && goto install
:fetch
if exist "%KEPT%\uv" rmdir /s /q "%KEPT%\uv"
setlocal
for /f "delims=" %%l in ('%READ% pip') do set "%%l"
%PY% -I -m pip install --quiet --no-deps --only-binary :all: --require-hashes ^
    --target "%KEPT%\uv" -r "%ROOT%requirements\uv.txt" || goto nouv
endlocal
copy /y "%ROOT%requirements\uv.txt" "%KEPT%\uv\uv.txt" >nul
:install
set "WANTED=>=3.11,<3.15"
if defined LAB_PYTHON set "WANTED=%LAB_PYTHON%"
if exist "%ENV%" rmdir /s /q "%ENV%"
setlocal
for /f "delims=" %%l in ('%READ% uv') do set "%%l"
"%KEPT%\uv\bin\uv.exe" venv --quiet --no-project --python "%WANTED%" "%ENV%" || goto noenv
"%KEPT%\uv\bin\uv.exe" pip install --quiet --python "%ENV%\Scripts\python.exe" --require-hashes ^
    -r "%ROOT%requirements\%LOCK%.txt" || goto noenv
endlocal
popd
rem such an environment has no pip: lab fetches a Go with uv where there is none
copy /y "%KEPT%\uv\bin\uv.exe" "%ENV%\Scripts\uv.exe" >nul
copy /y "%ROOT%requirements\uv.txt" "%ENV%\uv.txt" >nul
copy /y "%ROOT%requirements\%LOCK%.txt" "%ENV%\%LOCK%.txt" >nul

:run
if not defined PYTHONIOENCODING goto encoded
"%ENV%\Scripts\python.exe" -S -P -c "" >nul 2>&1 && goto encoded
echo labw: PYTHONIOENCODING is ignored: Python has no such encoding 1>&2
set "PYTHONIOENCODING="
:encoded
if /i "%~1"=="test" goto test
rem cmd.exe runs this in the checkout's name: `lab` is found beside this file.
set "LAB_CHECKOUT=%ROOT%"
if /i "%~1"=="python" (
    for /f "tokens=1,*" %%a in ("%*") do "%ENV%\Scripts\python.exe" %%b
    exit /b
)
"%ENV%\Scripts\python.exe" -P -c "import os,sys; sys.path.insert(0, os.environ['LAB_CHECKOUT']); from lab.cli import main; sys.exit(main())" %*
exit /b

:test
pushd "%ROOT%"
for /f "tokens=1,*" %%a in ("%*") do set "REST=%%b"
"%ENV%\Scripts\python.exe" -m pytest %REST%
set "CODE=%ERRORLEVEL%"
popd
exit /b %CODE%

:nouv
popd
echo   fix: install Python 3.11 or newer with pip, or check the index in pip's settings; then run the command again 1>&2
exit /b 75
:noenv
popd
echo   fix: check the network and free disk, then run the command again 1>&2
exit /b 75
