import Commands

await SwitchyardProgram.run()
